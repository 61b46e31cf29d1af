"""MQTT: ports for clients, topics, sessions, and brokers that the gateway subscribes to."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, SecretStr
from pydantic_core import PydanticCustomError

from gateway.settings.listeners import KeepaliveSettings, TlsSettings, default_connections
from gateway.settings.section import Count, FilePath, Name, Port, Section, Size

Role = Literal["telemetry", "status", "log", "response", "alert_report", "control_result", "provisioning_complete"]


def _origin(text: str) -> str:
    if not re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://[^\s/?#@*]*", text):
        raise PydanticCustomError("expected", "`*`, or scheme and host of a site: `https://dash.example.com:8443`")
    return text


Origin = Annotated[str, AfterValidator(_origin)]


class MqttListener(Section):
    """One port for MQTT clients, 3.1.1 and 5.0."""

    name: Name = Field(description="Name in metrics and logs.")
    host: Annotated[str, Field(min_length=1)] = Field(default="127.0.0.1", description="Address to bind to.")
    port: Port | None = Field(
        default=None,
        description="Port to bind to; 0 takes any free one. null: 1883, with `tls` 8883, for WebSocket 8083 or 8084.",
    )
    transport: Literal["tcp", "websocket"] = Field(
        default="tcp", description="What carries MQTT: plain connections, or WebSocket at the path `/mqtt`."
    )
    allowed_origins: Annotated[list[Origin], Field(max_length=64)] = Field(
        default=[],
        description="Sites whose pages may open a WebSocket here (`https://dash.example.com`), beside those of the "
        "same host and port; `*` lets every page. Clients that are no browsers send no origin and are not asked.",
    )
    tls: TlsSettings | None = Field(default=None, description="TLS; null is none.")
    proxy_protocol: bool = Field(
        default=False,
        description="Whether every connection begins with a PROXY protocol v2 header (a load balancer's). Not for "
        "WebSocket.",
    )
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant of all devices that connect here; its clients and topics are apart."
    )
    plaintext: bool = Field(
        default=False,
        description="Says that connections without TLS beyond this machine are meant. Needed off loopback without "
        "`tls`.",
    )
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default_factory=default_connections, description="Connections at a time; as for TCP listeners."
    )
    max_connections_per_ip: Count = Field(
        default=0, description="Connections at a time from one address. 0: any number."
    )
    connect_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=10.0, description="Time from connecting until the client must have been let in."
    )
    max_packet_bytes: Annotated[ByteSize, Field(ge=256, le=268_435_456)] = Field(
        default=ByteSize(262_144), description="Longest packet that a client may send; its declared length decides."
    )
    max_keep_alive_s: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0,
        description="Longest keep alive of 5.0 clients: who asks for more, or for none, is told this. 0: any.",
    )
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=64, description="QoS 1 and 2 publishes of a 5.0 client that may wait for their answer."
    )
    publishes_in_flight: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=256, description="Publishes of one connection that may wait for their answer; then reading pauses."
    )
    window: Annotated[int, Field(ge=1, le=32_767)] = Field(
        default=10, description="Messages to one client that may wait for its answer."
    )
    keepalive: KeepaliveSettings | None = Field(default=KeepaliveSettings(), description="TCP keepalive; null is off.")

    @property
    def chosen_port(self) -> int:
        """The port, or the usual one of this transport."""
        if self.port is not None:
            return self.port
        usual = (1883, 8883) if self.transport == "tcp" else (8083, 8084)
        return usual[self.tls is not None]


class MqttTopic(Section):
    """One template of topics, tried before the built-in ones."""

    template: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Levels of words and places: `plant/{device_id}/up`. Places are `{device_id}`, "
        "`{hub_id}`, `{product}`, `{env}`, `{type}`, `{direction}`, `{role}`, `{format}`, `{measurement}`; `+` takes "
        "any level."
    )
    product: str | None = Field(default=None, description="Product of messages that name none.")
    role: Literal[
        "telemetry", "status", "log", "response", "alert_report", "control_result", "provisioning_complete"
    ] = Field(default="telemetry", description="What the messages are, unless `{role}` stands in the template.")
    format: Literal["auto", "json", "bin", "csv"] = Field(
        default="auto", description="How the messages are written. `auto`: as content type or first character say."
    )
    envelope: Literal["chirpstack_v4", "tts_v3", "milesight"] | None = Field(
        default=None, description="The network server that wraps the messages."
    )


class MqttSessionSettings(Section):
    """What outlives a connection, and how much of it."""

    max_sessions: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=100_000, description="Sessions at a time, connected or not."
    )
    max_subscriptions: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=256, description="Subscriptions of one session."
    )
    queue_messages: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000, description="Messages that may wait for one client; newer ones are dropped and counted."
    )
    queue_bytes: Size = Field(default=ByteSize(1 << 20), description="Bytes that may wait for one client.")
    max_expiry_s: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = Field(
        default=7 * 86_400, description="How long a session may outlive its connection."
    )
    max_retained: Count = Field(default=10_000, description="Retained messages; more topics are not retained.")
    max_retained_bytes: Size = Field(default=ByteSize(8 << 20), description="Bytes of retained messages.")


class SignatureSettings(Section):
    """Signed payloads: HMAC-SHA256 with the device's `hmac_secret`."""

    required: bool = Field(
        default=False, description="Whether devices that have a secret must sign; else only signatures that are there."
    )
    field: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = Field(
        default="sig", description="Key of the signature in a JSON payload, at its top level."
    )


class MqttSettings(Section):
    """MQTT clients: devices, and others."""

    listeners: list[MqttListener] = Field(default=[], description="Ports that MQTT clients connect to.")
    topics: Annotated[list[MqttTopic], Field(max_length=256)] = Field(
        default=[], description="Templates of your own topics, before the built-in ones."
    )
    env_mismatch: Literal["flag", "refuse"] = Field(
        default="flag", description="A topic that names another environment: the record is flagged, or it is refused."
    )
    dead_letter_answer: Literal["success", "reason"] = Field(
        default="success",
        description="The answer to a QoS 1 message of a 5.0 client that was not understood, and is kept as a dead "
        "letter: success, or the code of a failure (0x99). The reason string tells why in both cases.",
    )
    sessions: MqttSessionSettings = Field(default=MqttSessionSettings(), description="What outlives a connection.")
    signatures: SignatureSettings = Field(default=SignatureSettings(), description="Signed payloads.")


class SourceTls(Section):
    """TLS towards a broker, from PEM files."""

    ca_file: FilePath | None = Field(default=None, description="Authorities that count; null: the system's.")
    cert_file: FilePath | None = Field(default=None, description="Our certificate, where the broker asks for one.")
    key_file: FilePath | None = Field(default=None, description="Its private key.")
    alpn: Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=8)] = Field(
        default=[], description="Protocols to offer, for ports that others share: `x-amzn-mqtt-ca` for AWS on 443."
    )


class MqttBrokerSource(Section):
    """An existing MQTT broker that the gateway subscribes to."""

    type: Literal["mqtt_broker"] = Field(description="The kind of source.")
    name: Name = Field(description="Name in metrics and logs.")
    url: Annotated[str, Field(pattern=r"^mqtts?://[^/@\s]+$")] = Field(
        description="`mqtt://host:1883`, or `mqtts://` for TLS; user name and password have keys of their own."
    )
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="Client id; null: the gateway's id and the source's name. The broker keeps what comes meanwhile "
        "for this id: name one where the gateway's id changes with every task.",
    )
    username: str | None = Field(default=None, description="User name.")
    password: SecretStr | None = Field(default=None, description="Password; best as `${env:NAME}`.")
    tls: SourceTls | None = Field(default=None, description="Files for `mqtts://`.")
    filters: Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=64)] = Field(
        default=[],
        description="Topic filters to subscribe to; empty: those of all templates of `mqtt.topics` and built in.",
    )
    shared_group: Annotated[str, Field(pattern=r"^[^/+#]{1,64}$")] | None = Field(
        default=None, description="Name of a shared subscription, so that several gateways divide the messages."
    )
    qos: Annotated[int, Field(ge=0, le=2)] = Field(
        default=1, description="Quality of service of the subscriptions. With 0 the broker keeps nothing for us."
    )
    retained: bool = Field(
        default=True, description="Whether retained messages are taken; those that were taken before are passed over."
    )
    max_packet_bytes: Annotated[ByteSize, Field(ge=256, le=268_435_456)] = Field(
        default=ByteSize(1 << 20), description="Longest message that is taken; longer ones are passed over and counted."
    )
    probe_topic: Annotated[str, Field(pattern=r"^[^+#]{1,512}$")] | None = Field(
        default=None,
        description="Below it the source publishes to itself to see that subscriptions live; null: only the connection "
        "is checked (PINGREQ). Needs the right to publish and subscribe there.",
    )
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant of all devices that come from there."
    )
