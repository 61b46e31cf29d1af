"""Raw value -> value: sentinels, scale, formula, names, clocks.

Every conversion is written once, as source text. The reference codec evaluates that text, the fused codec puts it
into its function: so that both give the same values by construction, and only the reading of bytes has two forms.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from decoders import times
from decoders.formula import NAMESPACE, Formula

CLOCKS: Mapping[str, str] = {
    "unix": "iso_from_unix({x})",
    "unix_ms": "iso_from_unix_ms({x})",
    "since2000": "iso_from_2000({x})",
    "six": "iso_from_six({x}, {z})",
    "bcd_six": "iso_from_bcd_six({x}, {z})",
}
"""Kind of clock -> its reading. `z`: seconds east of UTC of a local time."""


def _flag_names(bits: int, names: Mapping[int, str]) -> list[str]:
    """Names of the bits that are set, from the lowest; a name that several bits share comes once.

    names: mask of one bit -> name, for all `bits`.
    """
    found: list[str] = []
    while bits:
        lowest = bits & -bits
        name = names[lowest]
        if name not in found:
            found.append(name)
        bits ^= lowest
    return found


def _rounded(value: Any, decimals: int) -> Any:
    return round(value, decimals) if isinstance(value, float) else value


def negative(value: Any) -> Any:
    """The number with the other sign; what is no number stays as it is."""
    return -value if value.__class__ in (int, float) else value


def _named(names: Mapping[Any, Any], value: Any, other: Any, has_other: bool) -> Any:
    """The name of what a formula gave, which may be anything."""
    known = isinstance(value, Hashable) and value in names
    return names[value] if known else other if has_other else value


BASE: Mapping[str, Any] = {
    **NAMESPACE,
    "iso_from_unix": times.iso_from_unix,
    "iso_from_unix_ms": times.iso_from_unix_ms,
    "iso_from_2000": times.iso_from_2000,
    "iso_from_six": times.iso_from_six,
    "iso_from_bcd_six": times.iso_from_bcd_six,
    "flag_names": _flag_names,
    "named": _named,
    "negative": negative,
    "round": round,
    "rounded": _rounded,
}
"""Names that conversion sources may use."""


@dataclass(slots=True, frozen=True)
class Linear:
    """value = (raw * numerator + add) / denominator, in exact integers: 263 at scale 0.1 is 26.3, not 26.300000001."""

    numerator: int
    add: int
    denominator: int


def linear(scale: float | str, offset: float | str) -> Linear | None:
    """None when nothing changes. Raises ValueError for text that is no number or fraction."""
    factor, shift = Fraction(str(scale).replace(" ", "")), Fraction(str(offset).replace(" ", ""))
    if factor == 1 and shift == 0:
        return None
    if factor == 0:
        raise ValueError("a scale of 0 makes every value the same")
    denominator = factor.denominator * shift.denominator
    return Linear(factor.numerator * shift.denominator, shift.numerator * factor.denominator, denominator)


@dataclass(slots=True, frozen=True)
class Convert:
    """How a raw value becomes a value. Steps in order: absent, clock | flags | bool, linear, formula, decimals, enum.

    absent: raw values without a value. finite: NaN and infinity have no value. boolean: the value is `raw != 0`
    (inverted: `raw == 0`). enum: raw -> name, with `other` for the rest when `has_other`. zone_s: fixed zone of a local
    clock; None: the session's, else the spec's.
    """

    absent: tuple[int | str, ...] = ()
    clock: str = ""
    zone_s: int | None = None
    flags: Mapping[int, str] | None = None
    boolean: bool = False
    invert: bool = False
    linear: Linear | None = None
    formula: Formula | None = None
    decimals: int | None = None
    enum: Mapping[int | str, Any] | None = None
    other: Any = None
    has_other: bool = False
    signed_width: int = 0
    finite: bool = False

    @property
    def plain(self) -> bool:
        """True when the value is the raw value."""
        return self == PLAIN

    @property
    def nullable(self) -> bool:
        """True when a raw value may have no value."""
        unnamed = self.enum is not None and (None in self.enum.values() or (self.has_other and self.other is None))
        return bool(self.absent or self.clock or self.formula or self.finite or unnamed)

    @property
    def keeps_numbers(self) -> bool:
        """True when a raw number can become nothing but a number."""
        return not (self.clock or self.flags or self.boolean or self.formula or self.enum is not None)

    @property
    def uses_zone(self) -> bool:
        return self.clock in ("six", "bcd_six") and self.zone_s is None

    def source(self, x: str, bind: Callable[[Any], str]) -> str:
        """The conversion of variable `x` as an expression; `bind` gives an object a name in the code's namespace.
        The session's zone is `z` there."""
        text = x
        if self.signed_width:
            text = f"({text} - {1 << self.signed_width} if {text} & {1 << (self.signed_width - 1)} else {text})"
        if self.clock:
            zone = "z" if self.zone_s is None else str(self.zone_s)
            text = CLOCKS[self.clock].format(x=text, z=zone)
        elif self.flags is not None:
            known = f"{text} & {sum(1 << bit for bit in self.flags)}"
            names = bind({1 << bit: name for bit, name in self.flags.items()})
            text = f"(flag_names({known}, {names}) if {known} else [])"
        elif self.boolean:
            text = f"({text} == 0)" if self.invert else f"({text} != 0)"
        if self.linear is not None:
            text = _linear_source(text, self.linear)
        if self.formula is not None:
            text = f"{bind(self.formula.function)}({text})"
        if self.decimals is not None:
            number = (self.linear is not None or self.finite) and self.formula is None
            text = f"{'round' if number else 'rounded'}({text}, {self.decimals})"
        if self.enum is not None:
            names = bind(dict(self.enum))
            if self.formula is None:
                text = f"{names}.get({text}, {bind(self.other) if self.has_other else text})"
            else:
                text = f"named({names}, {text}, {bind(self.other)}, {self.has_other})"
        if self.absent:
            values = ", ".join(repr(value) for value in self.absent)
            test = f"{x} == {values}" if len(self.absent) == 1 else f"{x} in ({values})"
            text = f"(None if {test} else {text})"
        if self.finite:
            text = f"({text} if {x} - {x} == 0 else None)"
        return text

    def function(self) -> Callable[[Any, int], Any]:
        """`(raw, zone_s) -> value`, evaluated from the same source."""
        if self.plain:
            return lambda raw, _zone_s: raw
        namespace: dict[str, Any] = {"__builtins__": {}, **BASE}

        def bind(thing: Any) -> str:
            name = f"k{len(namespace)}"
            namespace[name] = thing
            return name

        code = compile(f"lambda x, z: {self.source('x', bind)}", "<convert>", "eval")
        made: Callable[[Any, int], Any] = eval(code, namespace)  # noqa: S307 - built from closed parts above
        return made


def _linear_source(x: str, step: Linear) -> str:
    text = x if step.numerator == 1 else f"{x} * {step.numerator}"
    if step.add:
        text = f"({text} {'-' if step.add < 0 else '+'} {abs(step.add)})"
    if step.denominator != 1:
        text = f"{text} / {step.denominator}"
    return f"({text})"


PLAIN = Convert()
