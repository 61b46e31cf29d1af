"""The TCP listeners, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from decoders.catalog import Catalog, UnknownProduct
from decoders.framing.plan import Framing
from decoders.product import CompiledProduct
from gateway.app.parts import Parts, certificate_rule, stream_options
from gateway.devices.sessions import SessionRegistry
from gateway.domain.errors import ConfigError
from gateway.ingress.tcp import ListenerOptions, TcpServer, TcpServices
from gateway.protocol.device_session import UNDETECTED
from gateway.protocol.session_ports import SessionLimits
from gateway.settings import model

__all__ = ["make_tcp"]


def make_tcp(parts: Parts, sessions: SessionRegistry) -> TcpServer:
    """Raises ConfigError."""
    server = TcpServer(
        TcpServices(
            parts.flow,
            parts.outbox,
            parts.admission,
            sessions,
            parts.tap,
            parts.metrics,
            parts.clock,
            parts.ids,
            certificate_rule(parts.settings.auth),
            parts.settings.drain.spread_s,
        )
    )
    for index, listener in enumerate(parts.settings.tcp.listeners):
        products = _products(parts.catalog, index, listener)
        limited = [_limited(product, listener.max_frame_bytes) for product in products]
        for product_id in (UNDETECTED, *(product.id for product in limited)):
            parts.metrics.traffic(listener.name, product_id)  # so that every series is there from the start, with 0
        server.add(_options(index, listener), _always(limited))
    return server


def _products(catalog: Catalog, index: int, listener: model.TcpListener) -> list[CompiledProduct]:
    """Who may speak on a listener, the number `index` of the configuration."""
    for position, name in enumerate(listener.products):
        try:
            catalog.candidates([name], "tcp")
        except UnknownProduct as error:
            setting = f"tcp.listeners.{index}.products.{position}"
            raise ConfigError(f"tcp.listeners[{index}].products[{position}]: {error}", setting=setting) from None
    found = catalog.candidates(listener.products, "tcp")
    if not found:
        setting = f"tcp.listeners.{index}.products"
        raise ConfigError(f"tcp.listeners[{index}].products: no product speaks TCP", setting=setting)
    return found


def _always(products: Sequence[CompiledProduct]) -> Callable[[], Sequence[CompiledProduct]]:
    return lambda: products


def _limited(product: CompiledProduct, max_frame_bytes: int) -> CompiledProduct:
    """The product with frames of at most this size; its own limits may be lower."""
    if all(kind.max_bytes <= max_frame_bytes for kind in product.framing.kinds):
        return product
    kinds = tuple(replace(kind, max_bytes=min(kind.max_bytes, max_frame_bytes)) for kind in product.framing.kinds)
    return replace(product, framing=Framing(kinds))


def _options(index: int, listener: model.TcpListener) -> ListenerOptions:
    limits = SessionLimits(
        login_timeout_ms=round(listener.login_timeout_s * 1000),
        idle_timeout_ms=round(listener.idle_timeout_s * 1000),
        frames_in_flight=listener.frames_in_flight,
        max_bad_frames=listener.max_bad_frames,
        max_garbage_bytes=listener.max_garbage_bytes,
    )
    return ListenerOptions(**stream_options(listener, listener.port, f"tcp.listeners.{index}"), limits=limits)
