"""Raw value -> value: sentinels, scale, formula, names, clocks.

Every conversion is written once, as source text. The reference codec evaluates that text, the fused codec puts it
into its function: so that both give the same values by construction, and only the reading of bytes has two forms.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from decoders import times
from decoders.clocks import clock_of
from decoders.formula import NAMESPACE, Formula
from decoders.times import Zone
from decoders.types import SessionContext

_FRESH = SessionContext()
_MAX_NUMBER = 64  # characters of a scale or offset
_MAX_EXPONENT = 30


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


def _flag_names_down(bits: int, names: Mapping[int, str]) -> list[str]:
    """The same from the highest bit."""
    found: list[str] = []
    while bits:
        highest = 1 << bits.bit_length() - 1
        if names[highest] not in found:
            found.append(names[highest])
        bits ^= highest
    return found


def _flags_of(value: Any, inverted: int, known: int, names: Mapping[int, str]) -> list[str] | None:
    """Names of the set bits of what a formula gave, which may be anything."""
    return _flag_names((value ^ inverted) & known, names) if value.__class__ is int else None


def _scaled(value: Any, numerator: int, add: int, denominator: int) -> Any:
    """`Linear` of what a formula gave, which may be anything: only numbers have a value."""
    if value.__class__ not in (int, float, bool):
        return None
    try:
        number = value * numerator + add
        scaled = number if denominator == 1 else number / denominator
        return scaled if scaled - scaled == 0 else None
    except OverflowError:
        return None


def _rounded(value: Any, decimals: int) -> Any:
    return round(value, decimals) if isinstance(value, float) else value


def negative(value: Any) -> Any:
    """The number with the other sign, and never -0.0; what is no number stays as it is."""
    return -value if value.__class__ in (int, float) and value else value


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
    "flag_names_down": _flag_names_down,
    "flags_of": _flags_of,
    "scaled": _scaled,
    "NUMBER_TYPES": (int, float),
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


def exact(number: float | str) -> Fraction:
    """A number or fraction as it is written. Raises ValueError for other text, and for numbers of monstrous size."""
    text = str(number).replace(" ", "")
    exponents = [int(part.lower().partition("e")[2] or 0) for part in text.split("/")]
    if len(text) > _MAX_NUMBER or not all(-_MAX_EXPONENT <= exponent <= _MAX_EXPONENT for exponent in exponents):
        raise ValueError(f"`{text[:_MAX_NUMBER]}` is no number of a size that a scale has")
    numerator, slash, denominator = text.partition("/")
    return Fraction(numerator) / Fraction(denominator) if slash else Fraction(numerator)


def linear(scale: float | str, offset: float | str, raw_offset: float | str = 0) -> Linear | None:
    """(raw + raw_offset) * scale + offset; None when nothing changes. Raises ValueError for text that is no number or
    fraction."""
    factor = exact(scale)
    shift = exact(raw_offset) * factor + exact(offset)
    if factor == 1 and shift == 0:
        return None
    if factor == 0:
        raise ValueError("a scale of 0 makes every value the same")
    denominator = factor.denominator * shift.denominator
    return Linear(factor.numerator * shift.denominator, shift.numerator * factor.denominator, denominator)


Sentinel: TypeAlias = int | float | str | bytes | tuple[float, float]
"""A raw value, or the raw numbers from one to another, that stand for something else than a value."""


@dataclass(slots=True, frozen=True)
class Convert:
    """How a raw value becomes a value. Steps in order: absent, flags | bool, linear, formula, clock, decimals, enum.

    absent: raw values without a value. words: in place of all steps: the word of the sentinel that the raw value is,
    else no value. missing: the raw value itself may be None. loose: what is converted may be anything (the result of
    a formula). finite: NaN and infinity have no value. boolean: the value is `raw != 0`
    (inverted: `raw == 0`). enum: raw -> name, with `other` for the rest when `has_other`. clock: a word of
    `decoders.clocks`. zone_s: the row's own zone; None: of a local clock the session's, else the spec's.
    """

    absent: tuple[Sentinel, ...] = ()
    clock: str = ""
    zone_s: Zone | None = None
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
    magnitude: bool = False
    finite: bool = False
    inverted: int = 0
    downwards: bool = False
    words: tuple[tuple[Sentinel, str], ...] = ()
    missing: bool = False
    loose: bool = False

    @property
    def plain(self) -> bool:
        """True when the value is the raw value."""
        return self == PLAIN

    @property
    def nullable(self) -> bool:
        """True when a raw value may have no value."""
        unnamed = self.enum is not None and (None in self.enum.values() or (self.has_other and self.other is None))
        uncertain = self.loose and (self.linear is not None or self.flags is not None)
        open_ = self.missing or self.words or uncertain
        return bool(self.absent or self.clock or self.formula or self.finite or unnamed or open_)

    @property
    def keeps_numbers(self) -> bool:
        """True when a raw number can become nothing but a number."""
        other = self.boolean or self.formula or self.enum is not None or self.words
        return not (self.clock or self.flags is not None or other)

    @property
    def uses_zone(self) -> bool:
        return bool(self.clock) and self.zone_s is None and clock_of(self.clock).local

    def source(self, x: str, bind: Callable[[Any], str]) -> str:
        """The conversion of variable `x` as an expression; `bind` gives an object a name in the code's namespace.
        The session is `s` there and its zone, or else the spec's, `z`."""
        if self.words:
            return _words_source(x, self, bind)
        text = x
        if self.signed_width:
            half = 1 << (self.signed_width - 1)
            negative = f"{half} - {text}" if self.magnitude else f"{text} - {2 * half}"
            text = f"({negative} if {text} & {half} else {text})"
        if self.flags is not None:
            mask = sum(1 << bit for bit in self.flags)
            names = bind({1 << bit: name for bit, name in self.flags.items()})
            known = f"({text} ^ {self.inverted}) & {mask}" if self.inverted else f"{text} & {mask}"
            call = "flag_names_down" if self.downwards else "flag_names"
            text = f"({call}({known}, {names}) if {known} else [])"
            if self.loose:
                text = f"flags_of({x}, {self.inverted}, {mask}, {names})"
        elif self.boolean:
            text = f"({text} == 0)" if self.invert else f"({text} != 0)"
        if self.linear is not None:
            text = _linear_source(text, self.linear, loose=self.loose)
        if self.formula is not None:
            text = f"{bind(self.formula.function)}({text if self.formula.names else ''})"
        if self.clock:
            text = self._clock_source(text, bind)
        if self.decimals is not None:
            number = (self.linear is not None or self.finite) and not (self.formula or self.clock or self.loose)
            text = f"{'round' if number else 'rounded'}({text}, {self.decimals})"
        if self.enum is not None:
            names = bind(dict(self.enum))
            if self.formula is None and not self.loose:
                text = f"{names}.get({text}, {bind(self.other) if self.has_other else text})"
            else:
                text = f"named({names}, {text}, {bind(self.other)}, {self.has_other})"
        tests = [f"{x} is None"] if self.missing else []
        if self.absent:
            tests.append(one_of(x, self.absent, loose=self.loose))
        if tests:
            text = f"(None if {' or '.join(tests)} else {text})"
        if self.finite:
            text = f"({text} if {x} - {x} == 0 else None)"
        return text

    def _clock_source(self, text: str, bind: Callable[[Any], str]) -> str:
        clock = clock_of(self.clock)
        if self.zone_s is None:
            zone = "z" if clock.local else "0"
        else:
            zone = str(self.zone_s) if isinstance(self.zone_s, int) else bind(self.zone_s)
        return clock.source(text, zone, "s", bind)

    def function(self) -> Callable[..., Any]:
        """`(raw, zone, session) -> value`, evaluated from the same source. Only clocks look at zone and session; a
        session may be left out."""
        if self.plain:
            return lambda raw, _zone, _session=None: raw
        namespace: dict[str, Any] = {"__builtins__": {}, **BASE, "FRESH": _FRESH}

        def bind(thing: Any) -> str:
            name = f"k{len(namespace)}"
            namespace[name] = thing
            return name

        code = compile(f"lambda x, z, s=FRESH: {self.source('x', bind)}", "<convert>", "eval")
        made: Callable[..., Any] = eval(code, namespace)  # noqa: S307 - built from closed parts above
        return made


def one_of(x: str, sentinels: Sequence[Sentinel], *, loose: bool = False) -> str:
    """True for a raw value that is one of the sentinels."""
    single = [repr(value) for value in sentinels if not isinstance(value, tuple)]
    tests = [f"{x} == {single[0]}" if len(single) == 1 else f"{x} in ({', '.join(single)})"] if single else []
    number = f"{x}.__class__ in NUMBER_TYPES and " if loose else ""
    tests += [f"{number}{value[0]!r} <= {x} <= {value[1]!r}" for value in sentinels if isinstance(value, tuple)]
    return " or ".join(tests)


def _words_source(x: str, convert: Convert, bind: Callable[[Any], str]) -> str:
    single = {value: word for value, word in convert.words if not isinstance(value, tuple)}
    spans = [(value, word) for value, word in convert.words if isinstance(value, tuple)]
    look_up = "named({names}, {x}, None, True)" if convert.loose else "{names}.get({x})"
    known = look_up.format(names=bind(single), x=x) if single else "None"
    tests = [f"None if {x} is None"] if convert.missing and spans else []
    number = f"{x}.__class__ in NUMBER_TYPES and " if convert.loose else ""
    tests += [f"{word!r} if {number}{low!r} <= {x} <= {high!r}" for (low, high), word in spans]
    if not tests:
        return known
    if single:
        tests.insert(0, f"{known} if {known} is not None")
    return f"({' else '.join([*tests, 'None'])})"


def _linear_source(x: str, step: Linear, *, loose: bool = False) -> str:
    if loose:
        return f"scaled({x}, {step.numerator}, {step.add}, {step.denominator})"
    text = x if step.numerator == 1 else f"{x} * {step.numerator}"
    if step.add:
        text = f"({text} {'-' if step.add < 0 else '+'} {abs(step.add)})"
    if step.denominator != 1:
        text = f"{text} / {step.denominator}"
    return f"({text})"


PLAIN = Convert()
