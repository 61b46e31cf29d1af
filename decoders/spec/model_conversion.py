"""Rows of the spec language as a data model: how a raw value becomes a value, and parts of integers.

Below `decoders.spec.model_rows`, whose rows have these keys among others.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from decoders.spec.model_words import Expression, NameTemplate


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


Endian = Literal["big", "little"]
BitOrder = Literal["lsb", "msb"]
EnumMap = dict[int | str, str | int | float | bool | None]
"""Raw value, `a..b` range, or `_` for every other value -> name; null: no value."""
Encoding = Literal["ascii", "utf-8", "gbk", "latin-1", "utf-16be", "utf-16le", "cp949", "cp1251", "shift-jis"]


Absent = list[int | float | str] | dict[int | float | str, str] | int | float | str
"""Raw value(s), or `a..b`, that mean: not available. As an object, each with a word: `{0xFFFF: read_failed}`."""
FlagMap = dict[int | str, str]
"""Bit number -> name; `"!3"` for a bit that says so when it is 0."""


class Conversion(Model):
    """What rows, bits and items of a list of numbers share: how a raw value becomes a value."""

    scale: float | str = Field(1, description="Value = (raw + raw_offset) * scale + offset; `1/1800000` is allowed.")
    offset: float | str = Field(0, description="Added after scaling.")
    raw_offset: float | str = Field(0, description="Added to the raw value before scaling.")
    decimals: int | None = Field(None, ge=0, le=12, description="Round the value to this many decimals.")
    formula: Expression | None = Field(None, description="Value by formula; `x` is the scaled value.")
    absent: Absent | None = Field(
        None, description="Raw values that mean: not available; with words these become the value `<name>_status`."
    )
    enum: EnumMap | str | None = Field(None, description="Names of raw values, or the name of a shared list.")
    flags: FlagMap | str | None = Field(
        None, description='Bit number (`"!3"`: when it is 0) -> name; the value lists the set ones. Or a shared list.'
    )
    clock: str | None = Field(
        None,
        description="The value is a time: `unix`, `unix_ms`, `since2000`, ... for numbers; for digits and text a "
        "pattern such as `DDMMYYhhmmss` or `YYYY-MM-DD hh:mm:ss`.",
    )
    zone: str | None = Field(None, description="Zone of a local time: `+08:00`; default: the spec's or the login's.")
    unit: str = Field("", description='Unit of the value, such as "°C".')
    range: tuple[FiniteFloat, FiniteFloat] | None = Field(None, description="Contract: smallest and largest value.")
    required: bool = Field(False, description="Contract: a record without this value breaks it.")
    hidden: bool | None = Field(
        None, description="Read and usable in formulas, but not shown. Default: true for const, counts and bits rows."
    )
    metric: bool | None = Field(None, description="Whether it becomes a metric; a header field only if true.")
    note: str = Field("", description="For people: what the field means.")


class BitField(Conversion):
    """Part of an integer."""

    at: int | str | list[int | str] = Field(
        description="Bit number, or `low-high`; bit 0 is the lowest (`bit_order: msb`: the highest). A list of them is "
        "one number, its most significant part first."
    )
    const: int | None = Field(None, description="The only number that these bits may hold.")
    invert: bool = Field(False, description="True when the bit is 0.")
    signed: bool | Literal["magnitude"] = Field(
        False, description="Two's complement over its bits, or `magnitude`: the top bit is the sign."
    )
    bcd: bool = Field(False, description="Each four bits, from the lowest, are a decimal digit.")
    counts: str | None = Field(None, description="These bits hold a length in bytes: `body`.")
    timestamp: Literal["device", "hub"] | None = Field(None, description="The record's time.")


class BitPart(Conversion):
    """Bits that follow each other in a list: `{name, width}` or `{skip: width}`."""

    name: NameTemplate | None = None
    width: int | None = Field(None, ge=1, le=64, description="Number of bits.")
    skip: int | None = Field(None, ge=1, le=512, description="Bits that mean nothing.")
    const: int | None = Field(None, description="The only number that these bits may hold.")
    invert: bool = Field(False, description="True when the bit is 0.")
    signed: bool | Literal["magnitude"] = False
    bcd: bool = Field(False, description="Each four bits, from the lowest, are a decimal digit.")
    timestamp: Literal["device", "hub"] | None = Field(None, description="The record's time.")

    @model_validator(mode="after")
    def _one_kind(self) -> BitPart:
        if (self.skip is None) == (self.name is None) or (self.name is None) != (self.width is None):
            raise ValueError("bits in a list are `{name: x, width: n}` or `{skip: n}`")
        if self.skip is not None and self.const is not None:
            raise ValueError("bits that are skipped may be anything: give those with a `const` a name")
        return self


def absent_values(given: Absent | None) -> tuple[int | float | str, ...]:
    """The raw values of `absent`, whatever form it has."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | dict) else (given,)
