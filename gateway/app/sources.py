"""Existing brokers that the gateway subscribes to, from the settings."""

from __future__ import annotations

from gateway.app.parts import Parts
from gateway.app.topics import Topics
from gateway.domain.errors import ConfigError
from gateway.ingress.broker_link import BrokerAddress, client_context
from gateway.ingress.broker_source import BrokerSources, SourceOptions, SourceServices, read_url
from gateway.settings import model

__all__ = ["make_sources"]


def make_sources(parts: Parts, topics: Topics, gateway_id: str) -> BrokerSources | None:
    """None without sources. Raises ConfigError."""
    settings = parts.settings.sources
    if not settings:
        return None
    sources = BrokerSources(SourceServices(topics.flow, parts.outbox, parts.clock.unix_ms, parts.ids))
    for index, source in enumerate(settings):
        try:
            sources.add(_options(source, topics, gateway_id))
        except ConfigError as error:
            raise error.below(f"sources.{index}") from None
    parts.metrics.add(sources.metrics)
    return sources


def _options(source: model.MqttBrokerSource, topics: Topics, gateway_id: str) -> SourceOptions:
    host, port, is_tls = read_url(source.url)
    files = source.tls or model.SourceTls()
    address = BrokerAddress(
        host,
        port,
        source.client_id or f"{gateway_id}-{source.name}",
        username=source.username or "",
        password=source.password.get_secret_value() if source.password is not None else "",
        tls=client_context(files.ca_file, files.cert_file, files.key_file, files.alpn) if is_tls else None,
        max_packet_bytes=int(source.max_packet_bytes),
    )
    return SourceOptions(
        source.name,
        address,
        tuple(source.filters or topics.templates.filters),
        qos=source.qos,
        shared_group=source.shared_group or "",
        tenant=source.tenant or "",
        retained=source.retained,
        probe_topic=source.probe_topic or "",
    )
