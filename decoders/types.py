"""The values that pass between a product's codec and whoever uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias

from decoders.times import Zone

Value: TypeAlias = Any
"""What a field can hold: int, float, str, bool, None, or lists and dicts of these."""


class ViolationCode(StrEnum):
    """How a value breaks the data contract, or why it is missing."""

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Self:
        made = str.__new__(cls, word)
        made._value_ = word
        made.meaning = meaning
        return made

    REQUIRED = "required", "a required value is missing"
    OUT_OF_RANGE = "out_of_range", "the value is outside of its range"
    NOT_IN_ENUM = "not_in_enum", "the raw value has no name in the enum"
    WRONG_TYPE = "wrong_type", "a document gives another type than the spec says"
    BAD_TEXT = "bad_text", "bytes that are no text in the encoding of the row; each shows as U+FFFD"
    BAD_TIME = "bad_time", "the device's date does not exist"
    FORMULA_FAILED = "formula_failed", "division by zero, overflow, missing input: no value"
    BAD_CHECK = "bad_check", "a wrong check value in a frame that the spec takes all the same"
    BAD_ZONE = "bad_zone", "what the device says of its zone is none"
    CLOCK_OFF = "clock_off", "device time more than a day from arrival"
    IDENTITY_DIFFERS = "identity_differs", "the payload names another device than the session or topic"
    ENV_DIFFERS = "env_differs", "the topic names another environment than the gateway's"


@dataclass(slots=True)
class Violation:
    field: str
    code: ViolationCode


@dataclass(slots=True)
class SessionContext:
    """What a session knows that a frame may lack. A fresh one is enough to decode any single frame.

    device_id: from login. zone_s: seconds east of UTC of the device's clock (None: the spec's zone).
    port: LoRaWAN fPort or similar. received_ms: Unix ms of arrival (0: unknown).
    values: what login fields marked `session: keep` said. columns: of CSV lines, where the first line named them.
    zone_fixed: `zone_s` is known better than the device knows it: what its messages say of it does not count.
    """

    device_id: str = ""
    variant: str = ""
    port: int = 0
    zone_s: Zone | None = None
    received_ms: int = 0
    values: dict[str, Value] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    zone_fixed: bool = False


@dataclass(slots=True)
class Identity:
    """Who a frame says it is from. Empty text: not said."""

    device_id: str = ""
    hub_id: str = ""
    child_id: str = ""


@dataclass(slots=True)
class RecordPart:
    """The values of one record: a message makes one, or one for each item of its `records` list.

    device_time, hub_time: RFC 3339 UTC with milliseconds, or "". identity: a child's own, when the item names one.
    """

    metrics: dict[str, Value]
    device_time: str = ""
    hub_time: str = ""
    flags: list[Violation] | None = None
    identity: Identity | None = None
