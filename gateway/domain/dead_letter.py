"""DeadLetter: an Uplink that could not become Records, or a Record that the sink will never take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DeadLetter:
    """Enough to understand the failure and to replay it after the spec was mended.

    reason: a `DecodeCode` or `DeadLetterReason` value. stage: decode | validate | shape | sink.
    raw: the frame as it stood on the wire; for stage `sink`, the record's JSON. received_ms: Unix ms of arrival.
    """

    dead_letter_id: str
    reason: str
    stage: str
    detail: str
    raw: bytes
    received_ms: int
    product: str
    spec_version: int
    device_id: str
    tenant: str
    listener: str
    session_id: str
    peer: str
    message: str = ""
    field: str = ""
    offset: int | None = None
