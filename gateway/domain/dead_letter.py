"""DeadLetter: an Uplink that could not become Records, or a Record that the sink will never take."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from decoders.types import SessionContext


@dataclass(slots=True)
class DeadLetter:
    """Enough to understand the failure and to replay it after the spec was mended.

    reason: a `DecodeCode`, `DeadLetterReason` or `RefuseReason` value. stage: decode | validate | shape | sink, where
    it failed last. raw: the frame as it stood on the wire; for stage `sink`, the record's JSON. received_ms: Unix ms of
    arrival. session: what the session knew when the frame came, apart from the device's id.
    sink, lane, record_type: of a record that a sink buried; the letter's id is the record's then, else the uplink's.
    attempts: replays that failed. gateway_id, stored_ms: who wrote the letter, and when (Unix ms); set by the store.
    topic, content_type, properties: of a message under a topic, as in `TopicMessage`; `raw` is its whole payload then.
    part: which of the several uplinks that came of it this is; -1 for all of it. speaker: device that was proven to
    send it, "" for none.
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
    hub_id: str = ""
    session: SessionContext = dataclasses.field(default_factory=SessionContext)
    sink: str = ""
    lane: str = ""
    record_type: str = ""
    attempts: int = 0
    gateway_id: str = ""
    stored_ms: int = 0
    topic: str = ""
    content_type: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    part: int = -1
    speaker: str = ""

    @property
    def key(self) -> str:
        """Names the letter among all: two sinks may bury one record."""
        return f"{self.dead_letter_id}@{self.sink}" if self.sink else self.dead_letter_id
