"""What can be configured: the model behind the YAML file, `IOTLINK_` variables, `--set` and the JSON Schema.

Keys that later versions bring stand in `unavailable.py`; rules over several keys in `rules.py`.
"""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

DEFAULT_DATA_DIR = Path("data")
DEFAULT_CONNECTIONS = 20_000
OWN_FILES = 128
"""Open files beside connections: listeners, data files, the sink's pool, Python's own."""
GATEWAY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", text):
        raise PydanticCustomError("expected", "a name of 1 to 32 of a-z, 0-9, - and _ that begins with a letter")
    return text


def _gateway_id(text: str) -> str:
    if not GATEWAY_ID.fullmatch(text):
        raise PydanticCustomError("expected", "`auto` or 1 to 64 letters, digits and . _ -")
    return text


Name = Annotated[str, AfterValidator(_name)]
RecordType = Literal["telemetry", "event", "alert", "control", "firmware", "file", "master", "presence", "log"]
FilePath = Annotated[Path, Strict(False)]  # strict mode would want a Path where YAML can only give text
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]
Size = Annotated[ByteSize, Field(ge=1)]


class _Section(BaseModel):
    """Strict: `port: "5023"` and `port: true` are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GatewaySettings(_Section):
    """Who this gateway is and where it keeps its files."""

    id: Annotated[str, AfterValidator(_gateway_id)] = Field(
        default="auto",
        description="Name of this gateway in every record. `auto`: the id of the ECS task, else one that is made once "
        "and kept in `data_dir`.",
    )
    env: Literal["dev", "stg", "prd"] = Field(default="prd", description="Environment, as it stands in every record.")
    data_dir: FilePath = Field(
        default=DEFAULT_DATA_DIR, description="Folder of what the gateway keeps: its id, records, dead letters."
    )
    specs_dirs: list[FilePath] = Field(
        default=[],
        description="Folders with your own product specs; they add to the shipped ones, and the same id replaces.",
    )
    devices_file: FilePath | None = Field(
        default=None, description="YAML list of known devices. Without it every device is unknown."
    )
    codec: Literal["auto", "construct", "fused"] = Field(
        default="auto",
        description="How frames are decoded. `auto`: the generated function where it is proven equal to the reference.",
    )


class TlsSettings(_Section):
    """TLS of one listener, from PEM files."""

    cert_file: FilePath = Field(description="The server's certificate chain.")
    key_file: FilePath = Field(description="The server's private key, without a password.")
    client_ca_file: FilePath | None = Field(default=None, description="Authorities whose client certificates count.")
    client_auth: Literal["off", "optional", "required"] = Field(
        default="off", description="Whether clients show a certificate of their own (mTLS)."
    )


class KeepaliveSettings(_Section):
    """TCP keepalive: finds connections whose other end is gone."""

    idle_s: Annotated[int, Field(ge=1, le=32_767)] = Field(default=60, description="Silence before the first probe.")
    interval_s: Annotated[int, Field(ge=1, le=32_767)] = Field(default=15, description="Time between two probes.")
    probes: Annotated[int, Field(ge=1, le=127)] = Field(
        default=4, description="Probes without an answer until the connection is given up."
    )


def default_connections() -> int:
    """20,000, or what the hard limit of open files leaves beside the gateway's own files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DEFAULT_CONNECTIONS if hard == resource.RLIM_INFINITY else max(1, min(DEFAULT_CONNECTIONS, hard - OWN_FILES))


class TcpListener(_Section):
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
        description="Connections at a time; 20000, or fewer where the limit of open files is lower. That limit must "
        "allow the sum of all listeners.",
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


class TcpSettings(_Section):
    """The ports for devices that hold a TCP connection."""

    listeners: list[TcpListener] = Field(default=[], description="Ports that devices connect to.")


class ObserveSettings(_Section):
    """The read-only HTTP port: /metrics, /livez, /readyz, /startupz, /health."""

    host: Annotated[str, Field(min_length=1)] = Field(default="127.0.0.1", description="Address to bind to.")
    port: Port = Field(default=9464, description="Port to bind to; 0 takes any free one.")


class AdminSettings(_Section):
    """The operations API on this machine: dead letters."""

    enabled: bool = Field(default=True, description="Whether it listens.")
    host: Annotated[str, Field(min_length=1)] = Field(
        default="127.0.0.1", description="Address to bind to; a loopback one, as long as there are no API keys."
    )
    port: Port = Field(default=9465, description="Port to bind to; 0 takes any free one.")


class AuthSettings(_Section):
    """Who may send. Must be written down before a listener may bind off loopback."""

    devices: Literal["open"] = Field(
        default="open", description="`open`: a device is who it says it is (where `tls` asks for no certificate)."
    )


class FileSink(_Section):
    """Records as NDJSON files, by date and hour."""

    type: Literal["file"] = Field(description="The kind of sink.")
    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "records",
        description="Folder of the files; `records` in `gateway.data_dir` unless given.",
    )
    rotate_mb: Annotated[int, Field(ge=1, le=1_048_576)] = Field(
        default=64, description="Size in MiB at which a new file begins."
    )
    rotate_s: Annotated[float, Field(ge=1, le=31_536_000)] = Field(
        default=3600.0, description="Age in seconds at which a new file begins."
    )


class KinesisSink(_Section):
    """Records in an Amazon Kinesis data stream. Credentials come from the usual AWS chain."""

    type: Literal["kinesis"] = Field(description="The kind of sink.")
    stream: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")] = Field(description="Name of the stream.")
    region: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="AWS region; null is that of the environment."
    )
    endpoint_url: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="Another endpoint than the region's own (VPC endpoint, test server)."
    )
    packing: Literal["plain", "aggregated", "ndjson"] = Field(
        default="plain",
        description="How records fill Kinesis records. `plain`: one each, one in flight per device. `aggregated`: "
        "many in one, in the format of the Kinesis Producer Library. `ndjson`: many in one, a line each.",
    )
    linger_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(
        default=20.0, description="Longest wait for more records while a request is in flight."
    )


class StdoutSink(_Section):
    """Records on stdout, a JSON line each; the log goes to stderr then."""

    type: Literal["stdout"] = Field(description="The kind of sink.")


Sink = Annotated[FileSink | KinesisSink | StdoutSink, Field(discriminator="type")]


class RouteSettings(_Section):
    """Which records go to which sinks. The first route that takes a record decides."""

    to: Annotated[list[Name], Field(min_length=1, max_length=16)] = Field(description="Names of sinks.")
    types: Annotated[list[RecordType], Field(max_length=16)] = Field(
        default=[], description="Types of record that it takes; empty: all."
    )
    products: Annotated[list[str], Field(max_length=10_000)] = Field(
        default=[], description="Ids of products that it takes; empty: all."
    )


class SpoolSettings(_Section):
    """The log on the disk in which everything acknowledged stands until the sinks have it."""

    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "spool",
        description="Folder of the spools, one below it for each gateway id; `spool` in `gateway.data_dir` unless "
        "given. On a volume that several gateways share, a live one delivers what a dead one has left.",
    )
    max_bytes: Annotated[ByteSize, Field(ge=16 << 20)] = Field(
        default=ByteSize(4 << 30), description="Most that it may take on the disk; less than the disk has."
    )
    segment_bytes: Annotated[ByteSize, Field(ge=1 << 20, le=1 << 30)] = Field(
        default=ByteSize(32 << 20), description="Size at which a new file begins."
    )
    commit_interval_max_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=5.0, description="Longest time under load between two commits; when idle they come at once."
    )


class RawArchiveSettings(_Section):
    """Frames as they came, kept beside their records and under the same `record_id`."""

    enabled: bool = Field(default=False, description="Whether they are kept.")
    sink: Name | None = Field(default=None, description="The sink that keeps them.")


class DeadLetterSettings(_Section):
    """What could not become records, kept for a look and a replay."""

    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "dead_letters",
        description="Folder of the files; `dead_letters` in `gateway.data_dir` unless given.",
    )
    max_bytes: Size = Field(default=ByteSize(1 << 30), description="Most that dead letters may take on the disk.")
    when_full: Literal["drop_oldest", "refuse"] = Field(
        default="drop_oldest", description="What happens at `max_bytes`: the oldest go, or the sender gets no answer."
    )
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] = Field(default=30.0, description="Older ones are deleted.")
    also_to: Name | None = Field(
        default=None, description="A sink that gets every dead letter as well, as a record of type `dead_letter`."
    )


class LogSettings(_Section):
    """The log on stdout."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is written. `debug` also shows frames."
    )
    format: Literal["json", "console"] = Field(
        default="json", description="`json`: one object a line. `console`: for people."
    )


class Settings(_Section):
    """IoT-Link Gateway: the configuration file."""

    gateway: GatewaySettings = Field(default=GatewaySettings(), description="Who this gateway is.")
    tcp: TcpSettings = Field(default=TcpSettings(), description="Raw TCP sessions.")
    observe: ObserveSettings = Field(default=ObserveSettings(), description="Metrics and health over HTTP.")
    admin: AdminSettings | None = Field(default=AdminSettings(), description="The operations API; null is off.")
    auth: AuthSettings = Field(default=AuthSettings(), description="Who may send.")
    provisioning: Literal["allow_new", "known", "closed"] = Field(
        default="allow_new", description="What a device that `devices_file` does not list may do."
    )
    ack_on: Literal["spool", "sink"] = Field(
        default="spool",
        description="When a sender gets its answer. `spool`: when the data is safe on the spool's disk. `sink`: when "
        "all sinks that get it have stored it, for storage that dies with the task.",
    )
    spool: SpoolSettings = Field(default=SpoolSettings(), description="The spool.")
    sinks: Annotated[dict[Name, Sink], Field(max_length=16)] = Field(
        default={}, description="Where records go, by name."
    )
    routes: Annotated[list[RouteSettings], Field(max_length=1000)] = Field(
        default=[], description="Which records go to which sinks; without routes all go to the only sink."
    )
    raw_archive: RawArchiveSettings = Field(default=RawArchiveSettings(), description="Frames as they came.")
    dead_letters: DeadLetterSettings = Field(default=DeadLetterSettings(), description="Dead letters on the disk.")
    shared_state: Literal["memory"] = Field(
        default="memory", description="Where gateways share what they know about devices. `memory`: they do not."
    )
    log: LogSettings = Field(default=LogSettings(), description="The log.")
