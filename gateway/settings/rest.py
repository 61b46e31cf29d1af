"""REST: ports for programs that push data, and how much one request may hold."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, ByteSize, Field
from pydantic_core import PydanticCustomError

from gateway.settings.listeners import TlsSettings, default_connections
from gateway.settings.section import Count, Name, Port, Section, Size

DEFAULT_REST_PORT = 8080
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_Wait = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise PydanticCustomError(
            "expected", "scheme, host and port of a site in small letters: `https://a.example:8443`"
        )
    return text


class RestListener(Section):
    """One port of the REST API."""

    name: Name = Field(description="Name in metrics and logs.")
    host: Annotated[str, Field(min_length=1)] = Field(default="127.0.0.1", description="Address to bind to.")
    port: Port = Field(default=DEFAULT_REST_PORT, description="Port to bind to; 0 takes any free one.")
    tls: TlsSettings | None = Field(default=None, description="TLS; null is plain HTTP.")
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant of all who call here; clients of another tenant have nothing here."
    )
    plaintext: bool = Field(
        default=False,
        description="Says that plain HTTP beyond this machine is meant (behind a load balancer that ends TLS). Needed "
        "off loopback without `tls`.",
    )
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default_factory=default_connections, description="Connections at a time; as for TCP listeners."
    )
    max_connections_per_ip: Count = Field(
        default=0, description="Connections at a time from one address. 0: any number."
    )
    forwarded_hops: Annotated[int, Field(ge=0, le=8)] = Field(
        default=0,
        description="Load balancers in front, each of which adds to `X-Forwarded-For`. That header then says who "
        "calls; with 0 it is not believed.",
    )
    allowed_origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], Field(max_length=64)] = Field(
        default=[],
        description="Sites whose pages may call from a browser (CORS), as in `https://dash.example.com`. None unless "
        "named.",
    )
    idle_timeout_s: _Wait = Field(
        default=75.0,
        description="Time for the head of a request, from the opening of the connection or the last answer, until the "
        "connection is closed; above the load balancer's own.",
    )
    request_timeout_s: _Wait = Field(
        default=30.0,
        description="Time for a request until its answer, its body included. What is not stored by then is `pending`.",
    )
    read_timeout_s: _Wait = Field(default=20.0, description="Silence within a body until the request is given up.")
    min_bytes_per_s: Count = Field(
        default=256, description="A body that comes slower than this is given up, once `read_timeout_s` has passed."
    )


class IdempotencySettings(Section):
    """What is remembered of requests with an `Idempotency-Key`."""

    hours: Annotated[float, Field(gt=0, le=24 * 30)] = Field(
        default=24.0, description="For how long. After that the same key means a new request."
    )
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=65_536, description="How many keys; those that came first go before their time."
    )
    max_bytes: Size = Field(default=ByteSize(64 << 20), description="Memory for keys and their answers.")


class RestSettings(Section):
    """The REST API for programs that push data."""

    listeners: list[RestListener] = Field(default=[], description="Ports that programs call.")
    max_item_bytes: Annotated[ByteSize, Field(ge=64, le=64 << 20)] = Field(
        default=ByteSize(1 << 20), description="Largest single message: a JSON object, a line, a frame."
    )
    max_body_bytes: Annotated[ByteSize, Field(ge=64, le=1 << 30)] = Field(
        default=ByteSize(8 << 20), description="Largest body, expanded, but for uploads that are read line by line."
    )
    max_items: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=50_000, description="Items of one body; uploads that are read line by line have any number."
    )
    stream_from_bytes: Annotated[ByteSize, Field(ge=1)] = Field(
        default=ByteSize(1 << 20),
        description="NDJSON and CSV bodies above this size, packed ones and those of unknown length are read line by "
        "line: their answer has counts and the first 1,000 errors. Not if the request is signed or has an "
        "`Idempotency-Key`.",
    )
    max_upload_bytes: Size = Field(
        default=ByteSize(4 << 30), description="Largest body that is read line by line, expanded."
    )
    max_expansion_ratio: Count = Field(
        default=200, description="How many times its size a gzip or zstd body may expand to. 0: any."
    )
    idempotency: IdempotencySettings = Field(
        default=IdempotencySettings(), description="Requests with an `Idempotency-Key`."
    )
