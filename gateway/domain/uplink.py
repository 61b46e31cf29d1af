"""Uplink: one device message on its way in, with its Receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.compile import CompiledProduct
from decoders.errors import DecodeError
from decoders.framing.plan import Framing
from decoders.plan import Decoded
from decoders.spec.model import SpecFile
from decoders.types import SessionContext, Violation
from gateway.domain.device import Device
from gateway.domain.receipt import Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage

NO_PRODUCT = CompiledProduct("", 0, "", SpecFile.model_construct(product=""), Framing(()), (), {}, {}, 0, {})
"""Stands where no product is known: it reads nothing, and records leave its id out."""


@dataclass(slots=True, frozen=True)
class Failure:
    """Why an uplink is a dead letter before anything was decoded. reason: a `DeadLetterReason` value."""

    reason: str
    stage: str
    detail: str
    field: str = ""


@dataclass(slots=True, frozen=True)
class Plain:
    """A record without a spec: its type, and its `data` with no value that a record may not hold."""

    type: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class Beside:
    """What came beside the payload of an uplink, for its records.

    tags: added to the device's. measurement, data_type, record: in place of the message's own; "" leaves it.
    trace_id, device_time, hub_time (RFC 3339 UTC with milliseconds): where the payload itself says none.
    part: its place among the uplinks of one message, -1 for the only one.
    """

    tags: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    measurement: str = ""
    data_type: str = ""
    record: str = ""
    flags: Sequence[Violation] = ()
    trace_id: str = ""
    device_time: str = ""
    hub_time: str = ""
    plain: Plain | None = None
    failure: Failure | None = None
    part: int = -1


@dataclass(slots=True, eq=False)
class Uplink:
    """One message, from arrival to settlement.

    uplink_id: UUIDv7 text made at arrival; record ids are derived from it.
    raw: the frame as it stood on the wire. received_ms: Unix ms of arrival.
    Exactly one of `decoded` and `error` is set once the decode stage has run; neither where `beside` has a failure or
    a plain record.
    context: what its session knows; it may change once the uplink has been received.
    replayed: it comes from a dead letter, after its sender was answered.
    states: what has to become durable together with its records.
    message: what it came in, where that has a topic; `raw` is its payload then. beside: None where nothing was.
    """

    uplink_id: str
    raw: bytes
    received_ms: int
    product: CompiledProduct
    device: Device
    receipt: Receipt
    listener: str
    session_id: str
    peer: str = ""
    decoded: Decoded | None = None
    error: DecodeError | None = None
    context: SessionContext | None = None
    replayed: bool = False
    states: Sequence[State] = ()
    message: TopicMessage | None = None
    beside: Beside | None = None
