"""TcpServer: the listeners of devices that speak over TCP.

Place in the walk: the beginning. Each connection gets a DeviceSession; what carries it is `stream_face`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from decoders.product import CompiledProduct
from gateway.access.certificates import CertificateRule
from gateway.domain.device import Principal
from gateway.domain.ports import FrameTap, OutboxPort, UplinkFlow
from gateway.ingress.clock import IdSource
from gateway.ingress.stream_face import SteadyClock, StreamOptions
from gateway.ingress.stream_listener import StreamListener, StreamServer
from gateway.observe.metrics import Metrics
from gateway.protocol.device_session import DeviceSession
from gateway.protocol.session_ports import AdmissionPort, SessionHost, SessionLimits, SessionPlace, SessionPorts

__all__ = ["ListenerOptions", "TcpServer", "TcpServices"]


@dataclass(slots=True, frozen=True)
class ListenerOptions(StreamOptions):
    """One TCP listener."""

    limits: SessionLimits = field(default_factory=SessionLimits)


@dataclass(slots=True)
class TcpServices:
    """What the listeners need of the rest of the gateway. certificates: whom a client certificate names."""

    flow: UplinkFlow
    outbox: OutboxPort
    admission: AdmissionPort
    place: SessionPlace
    tap: FrameTap
    metrics: Metrics
    clock: SteadyClock
    ids: IdSource
    certificates: CertificateRule = field(default_factory=CertificateRule)
    spread_s: float = 0.0


class TcpServer(StreamServer):
    """All TCP listeners. Life: start, stop_accepting, drain."""

    def __init__(self, services: TcpServices) -> None:
        super().__init__(services.outbox, services.spread_s)
        self._services = services

    def add(self, options: ListenerOptions, products: Callable[[], Sequence[CompiledProduct]]) -> StreamListener:
        """Adds a listener before the start. products: who may speak there, asked for each connection."""
        services, rule = self._services, self._services.certificates
        ports = SessionPorts(
            listener=options.name,
            tenant=options.tenant,
            limits=options.limits,
            admission=services.admission,
            place=services.place,
            flow=services.flow,
            make_id=services.ids.make,
            unix_ms=services.clock.unix_ms,
            tap=services.tap,
            gate=self.gate,
            traffic=lambda product: services.metrics.traffic(options.name, product),
        )

        def open_session(
            host: SessionHost, *, session_id: str, peer: str, principal: Principal, opened_ms: int
        ) -> DeviceSession:
            return DeviceSession(
                products(),
                ports,
                host,
                session_id=session_id,
                peer=peer,
                opened_ms=opened_ms,
                certified=rule.name_of(principal) if rule.applies(principal) else None,
            )

        listener = StreamListener(
            "tcp",
            options,
            open_session,
            opening_timeout_ms=options.limits.login_timeout_ms,
            make_id=services.ids.make,
            clock=services.clock,
            counters=services.metrics.listener(options.name),
            gate=self.gate,
        )
        self.listeners.append(listener)
        return listener
