"""Where records go. A sink stores one request at a time; everything about retrying belongs to its sender.

A sink knows no receipts: it takes parcels and says, for each, whether it keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.delivery.lanes import Parcel, ParcelQueue
from gateway.delivery.pacing import Pacing

SMALL_RECORD_BYTES = 8192
"""A record whose body is no longer than this can be stored by every sink."""


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
    """Why one parcel of an otherwise answered request was not stored."""

    code: SinkErrorCode
    detail: str
    retriable: bool = True


class Sink(Protocol):
    """One place where records are kept. All calls come from one event loop."""

    name: str
    error_codes: Sequence[SinkErrorCode]
    """What this sink can fail with (each is a metric label from the start)."""
    linger_ms: float
    """Default of the sender's setting: what a request costs decides."""
    max_requests: int
    """How many may be in flight at once; they never share a key."""
    max_batch_records: int
    """Parcels of one request; of a sink with a FifoQueue, records in its one parcel."""
    max_batch_bytes: int
    max_record_bytes: int
    """Longest `Record.body` that can ever be stored; at least SMALL_RECORD_BYTES."""
    pacing: Pacing

    def new_queue(self) -> ParcelQueue:
        """An empty queue that makes the parcels this sink takes."""
        ...

    async def start(self) -> None:
        """Makes ready. OperatorError: this configuration can never work. SinkError: not reachable now; `send` may
        be called all the same and goes on trying."""
        ...

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        """Returns when the outcome is known: None if all parcels are durable, else one item per parcel.
        Raises SinkError (its `code` a SinkErrorCode) if the request as a whole failed, or its outcome is not known."""
        ...

    async def close(self) -> None: ...
