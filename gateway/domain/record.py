"""Record: the standardized output, as it stands in the sink (interfaces: schema `iotlink.record/1`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecordType(StrEnum):
    TELEMETRY = "telemetry"
    EVENT = "event"
    ALERT = "alert"
    CONTROL = "control"
    FIRMWARE = "firmware"
    FILE = "file"
    MASTER = "master"
    PRESENCE = "presence"
    LOG = "log"


RAW = "raw"
"""Type of a record of the raw archive: a frame as it came. It is none of the standard types, nor routed like them."""

DEAD_LETTER = "dead_letter"
"""Type of a record that is the copy of a dead letter."""


@dataclass(slots=True)
class Record:
    """One record, ready for a sink.

    lane: the ordering key (the device); its name is the Kinesis partition key, 1-256 characters.
    body: the canonical JSON object, UTF-8, without a newline.
    received_ms: Unix ms of the uplink's arrival (partitions of the file sink, latency).
    """

    record_id: str
    type: str
    product: str
    lane: str
    body: bytes
    received_ms: int
