"""Ports that devices connect to, and those for operators."""

from __future__ import annotations

import resource
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field
from pydantic_core import PydanticCustomError

from gateway.settings.section import Count, FilePath, Name, Port, Seconds, Section, Size

DEFAULT_CONNECTIONS = 20_000
OWN_FILES = 128
"""Open files beside connections: listeners, data files, the sink's pool, Python's own."""


class TlsSettings(Section):
    """TLS of one listener, from PEM files."""

    cert_file: FilePath = Field(description="The server's certificate chain.")
    key_file: FilePath = Field(description="The server's private key, without a password.")
    client_ca_file: FilePath | None = Field(default=None, description="Authorities whose client certificates count.")
    client_auth: Literal["off", "optional", "required"] = Field(
        default="off", description="Whether clients show a certificate of their own (mTLS)."
    )


class KeepaliveSettings(Section):
    """TCP keepalive: finds connections whose other end is gone."""

    idle_s: Annotated[int, Field(ge=1, le=32_767)] = Field(default=60, description="Silence before the first probe.")
    interval_s: Annotated[int, Field(ge=1, le=32_767)] = Field(default=15, description="Time between two probes.")
    probes: Annotated[int, Field(ge=1, le=127)] = Field(
        default=4, description="Probes without an answer until the connection is given up."
    )


def default_connections(listeners: int = 1, promised: int = 0) -> int:
    """20,000, or what the hard limit of open files leaves beside the gateway's own files. listeners: how many share
    it. promised: what others, that say their own number, take of it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return DEFAULT_CONNECTIONS
    return max(1, min(DEFAULT_CONNECTIONS, (hard - OWN_FILES - promised) // listeners))


class TcpListener(Section):
    """One TCP port and the products that may speak on it."""

    name: Name = Field(description="Name in metrics and logs.")
    host: Annotated[str, Field(min_length=1)] = Field(default="127.0.0.1", description="Address to bind to.")
    port: Port = Field(default=5023, description="Port to bind to; 0 takes any free one.")
    products: list[str] = Field(
        default=[],
        description="Products that may speak here, told apart by framing and first bytes. Empty: all that speak TCP.",
    )
    idle_timeout_s: Seconds = Field(
        default=300.0,
        description="Silence after which a connection is closed; below the load balancer's own. 0: never.",
    )
    login_timeout_s: Seconds = Field(
        default=30.0, description="Time from connecting until the device must have said who it is. 0: for ever."
    )
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default_factory=default_connections,
        description="Connections at a time; 20000, or fewer where the limit of open files is lower: the listeners that "
        "say no number share what it allows. It must allow the sum of all listeners.",
    )
    max_connections_per_ip: Count = Field(
        default=0,
        description="Connections at a time from one address. 0: any number (many devices share one behind a NAT).",
    )
    max_frame_bytes: Size = Field(
        default=ByteSize(65_536), description="Longest frame that is taken; a product's own limit may be lower."
    )
    max_garbage_bytes: Count = Field(
        default=4096, description="Bytes in a row that belong to no frame until the connection is closed."
    )
    max_bad_frames: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10, description="Unusable frames in a row (wrong check value, too long) until the connection is closed."
    )
    frames_in_flight: Annotated[int, Field(ge=1, le=65_536)] = Field(
        default=64, description="Frames of one connection that may wait for their answer; then reading pauses."
    )
    tls: TlsSettings | None = Field(default=None, description="TLS; null is plain TCP.")
    proxy_protocol: bool = Field(
        default=False,
        description="Whether every connection begins with a PROXY protocol v2 header (a load balancer's). Without the "
        "header it is then refused; while this is false a header is skipped as garbage and not believed.",
    )
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant of all devices that connect here."
    )
    plaintext: bool = Field(
        default=False,
        description="Says that plain TCP beyond this machine is meant. Needed off loopback without `tls`.",
    )
    keepalive: KeepaliveSettings | None = Field(default=KeepaliveSettings(), description="TCP keepalive; null is off.")


class TcpSettings(Section):
    """The ports for devices that hold a TCP connection."""

    listeners: list[TcpListener] = Field(default=[], description="Ports that devices connect to.")


def _namespace(text: str) -> str:
    if text.startswith("AWS/"):
        raise PydanticCustomError("expected", "a namespace that does not begin with `AWS/`: those are Amazon's own")
    return text


CloudWatchName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/#-]{1,255}$")]


class EmfSettings(Section):
    """Figures for Amazon CloudWatch, a line of the log each minute (embedded metric format)."""

    namespace: Annotated[CloudWatchName, AfterValidator(_namespace)] = Field(
        description="CloudWatch namespace of the metrics; it does not begin with `AWS/`."
    )
    service: CloudWatchName = Field(
        description="Value of the dimension `service`: all gateways of one service have the same."
    )


class ObserveSettings(Section):
    """The read-only HTTP port: /metrics, /livez, /readyz, /startupz, /health."""

    host: Annotated[str, Field(min_length=1)] = Field(default="127.0.0.1", description="Address to bind to.")
    port: Port = Field(default=9464, description="Port to bind to; 0 takes any free one.")
    emf: EmfSettings | None = Field(
        default=None, description="Figures for Amazon CloudWatch on stdout, beside the log; null is off."
    )


class AdminSettings(Section):
    """The operations API on this machine: dead letters."""

    enabled: bool = Field(default=True, description="Whether it listens.")
    host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address to bind to; a loopback one, as long as there are no API keys."
    )
    port: Port = Field(default=9465, description="Port to bind to; 0 takes any free one.")
