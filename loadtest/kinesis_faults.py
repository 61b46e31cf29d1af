"""What goes wrong in the fake Kinesis, and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """What goes wrong; every attribute may be changed at any time. Probabilities are 0..1."""

    record_failure: float = 0.0  # of each record of a PutRecords: InternalFailure
    http_500: float = 0.0  # of each write: answered 500, nothing stored
    lost_answer: float = 0.0  # of each write: stored, then the connection is dropped
    delay_s: float = 0.0  # before each answer
    jitter_s: float = 0.0  # up to so much more
    black_hole: bool = False  # requests are read and never answered
    shuffle: bool = False  # the records of a request are stored in random order
    stream_missing: bool = False
    expired_credentials: bool = False
    poison: bytes = b""  # a request with a record that contains this: ValidationException
    poison_entry: bytes = b""  # a record that contains this fails alone: InvalidArgument


@dataclass(slots=True)
class Counts:
    """What the fake has seen so far."""

    requests: int = 0  # PutRecords and PutRecord
    offered: int = 0  # records in them
    stored: int = 0
    throttled: int = 0
    most_records: int = 0  # in one request
    answered: int = 0  # requests of any kind, refusals included
    repeated_keys: int = 0  # records whose partition key stood in the same request before
    by_operation: dict[str, int] = field(default_factory=dict)
