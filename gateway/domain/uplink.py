"""Uplink: one device message on its way in, with its Receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decoders.compile import CompiledProduct
from decoders.errors import DecodeError
from decoders.plan import Decoded
from decoders.types import SessionContext
from gateway.domain.device import Device
from gateway.domain.receipt import Receipt
from gateway.domain.state import State


@dataclass(slots=True, eq=False)
class Uplink:
    """One message, from arrival to settlement.

    uplink_id: UUIDv7 text made at arrival; record ids are derived from it.
    raw: the frame as it stood on the wire. received_ms: Unix ms of arrival.
    Exactly one of `decoded` and `error` is set once the decode stage has run.
    context: what its session knows; it may change once the uplink has been received.
    replayed: it comes from a dead letter, after its sender was answered.
    states: what has to become durable together with its records.
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
