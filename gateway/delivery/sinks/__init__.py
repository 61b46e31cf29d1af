"""Where records go. A sink stores one request at a time; everything about retrying belongs to its sender.

A sink knows neither receipts nor lanes: it takes records and says, for each, whether it keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.domain.record import Record


class SinkErrorCode(StrEnum):
    """Why a record or a request was not stored: label `error_code` of `iotlink_records_failed`."""

    THROTTLED = "throttled"
    INTERNAL = "internal"  # the service failed (5xx) or answered what it should not
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    CREDENTIALS = "credentials"
    ACCESS_DENIED = "access_denied"
    KMS = "kms"
    NOT_FOUND = "not_found"
    VALIDATION = "validation"  # the only one that no retry can mend
    DISK_FULL = "disk_full"
    DISK = "disk"
    OTHER = "other"


@dataclass(slots=True)
class EntryFailure:
    """Why one record of an otherwise answered request was not stored."""

    code: SinkErrorCode
    detail: str
    retriable: bool = True


class Sink(Protocol):
    """One place where records are kept. All calls come from one task, one at a time."""

    name: str
    error_codes: Sequence[SinkErrorCode]
    """What this sink can fail with (each is a metric label from the start)."""
    one_per_lane: bool
    """False: a request is stored whole, or not at all, in its order: it may hold many records of a lane.
    True: entries fail one by one: a request holds at most one record of a lane."""
    linger_ms: float
    """Default of the sender's setting: what a request costs decides."""
    max_batch_records: int
    max_batch_bytes: int
    max_record_bytes: int
    """Longest `Record.body` that can ever be stored."""

    async def start(self) -> None:
        """Makes ready. OperatorError: this configuration can never work. SinkError: not reachable now; `send` may
        be called all the same and goes on trying."""
        ...

    async def send(self, records: Sequence[Record]) -> Sequence[EntryFailure | None] | None:
        """Returns when the outcome is known: None if all records are durable, else one item per record.
        Raises SinkError (its `code` a SinkErrorCode) if the request as a whole failed."""
        ...

    async def close(self) -> None: ...
