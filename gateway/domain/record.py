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
