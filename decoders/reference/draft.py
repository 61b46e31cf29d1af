"""What a message is built from: the caller's values of one structure, and what follows from them.

A raw value that the caller does not give is worked out from what it says about others: the count of a list, the size
of a group, a flag that says whether rows are there, the input of a formula whose result is given. Much of that stands
behind the field that it fills; so a message is built again until nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders.errors import DecodeError, EncodeError
from decoders.formula import Formula
from decoders.inverse import absent_raw, to_raw, word_raw
from decoders.layout import (
    STATUS,
    Bit,
    BytesWire,
    Derived,
    FloatWire,
    Group,
    IntWire,
    Value,
)
from decoders.raw import is_number, read_bits, write_bits
from decoders.reference.fields import FOLLOWS, Fields, fields_of
from decoders.reference.raw_tree import Scope, Window
from decoders.reference.time_parts import part_of_time
from decoders.solve import Unknown, solve
from decoders.times import Zone

PLENTY = 1 << 20
"""What `remaining` is taken for where rows are wanted."""
_FEW_BITS = 2  # bits up to this many are tried in all combinations


@dataclass(slots=True)
class Work:
    """One message that is being built. solved: what was worked out, by structure; changed: this time something was.

    fill: hidden fields that nothing gives become 0. port: what `port` reads. told: fields that layout formulas read:
    where nothing gives them, they are 0 until something is known of them. strict: a value whose row is not there is an
    error.
    """

    zone_s: Zone = 0
    fill: bool = False
    port: int = 0
    told: frozenset[str] = frozenset()
    strict: bool = True
    solved: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[tuple[str, int]] = field(default_factory=set)  # optional rows that the values do not fit
    faults: dict[str, EncodeError] = field(default_factory=dict)  # what did not fit in them, by the value's place
    unread: set[tuple[str, int]] = field(default_factory=set)  # those that would not be read as they were built
    firm: set[tuple[str, str]] = field(default_factory=set)  # fields that counts and sizes are solved for
    stream: Any = None  # what header and body are built into
    before: Window | None = None  # header and body as they came out the last time
    around: Mapping[str, Any] = field(default_factory=dict)  # the body and its length at that time
    known: Mapping[int, int] = field(default_factory=dict)  # bytes of the body that are settled, by place
    body_at: int | None = None  # where the body begins, if that is fixed
    session: Mapping[str, Any] = field(default_factory=dict)  # values of the login
    changed: bool = False


@dataclass(slots=True)
class Draft(Scope):
    """A structure while it is built. values: what the caller gives for it. path: where it is in the message.

    lasting: what is worked out here is remembered for the next try; False for the header of an item, which is built
    when all about the item is known.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    fields: Fields = field(default_factory=lambda: fields_of(()))
    work: Work = field(default_factory=Work)
    path: str = ""
    lasting: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)  # values that stand in what is built
    computed: set[str] = field(default_factory=set)  # values that formulas give of what is built
    unfit: dict[str, EncodeError] = field(default_factory=dict)  # those that some rows had no room for
    blank: bool = False  # everything that is not given is 0
    solved: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)  # raw values of the caller
    shown: str | None = None  # the path for people, where that differs
    fallback: Mapping[str, Any] = field(default_factory=dict)  # raw values for what nothing else gives

    def __post_init__(self) -> None:
        if self.lasting:
            self.solved = self.work.solved.setdefault(self.path, self.solved)
        self.raw |= self.given
        for derived in self.fields.derived if self.lasting else ():
            if derived.test is not None and self.values.get(derived.name) is not None:
                self._settle_values(derived.test, True)

    def part(self, name: str, values: Mapping[str, Any], fields: Fields, *, lasting: bool = True) -> Draft:
        """A structure in this one."""
        path = f"{self.path}.{name}"
        return Draft(
            outer=self, depth=self.depth + 1, values=values, fields=fields, work=self.work, path=path, lasting=lasting
        )

    def left_out(self, names: Iterable[str], why: str, *, always: bool = False) -> None:
        """Values of rows that are not there: an error, unless other rows write them. always: also where a value too
        many is none."""
        for name in names:
            if (self.work.strict or always) and name not in self.unfit:
                place = self.place(name)
                self.unfit[name] = self.work.faults.get(place) or EncodeError(place, why)

    def finish(self) -> None:
        """Raises EncodeError for a value that no rows had room for."""
        for name, error in self.unfit.items():
            if name not in self.written and name not in self.computed:
                raise error

    # what layout formulas read

    def find(self, name: str) -> Any:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.raw:
                return scope.raw[name]
            if isinstance(scope, Draft) and (name in scope.fields.values or name in scope.fields.bits):
                return scope.early(name)
            scope = scope.outer
        return self.work.port if name == "port" else self.work.around.get(name, self.work.session.get(name))

    def early(self, name: str) -> Any:
        """The raw value of a field that is not built yet; None where nothing says it."""
        if name in self.solved:
            return self.solved[name]
        if name in self.fields.bits:
            node, bit = self.fields.bits[name]
            return self._bit(node, bit)
        node = self.fields.values[name]
        if node.bits:
            return self.bits_of(node)
        return self._told(node) if node.place is None else None

    def owner(self, name: str) -> Draft | None:
        """The structure whose field this is."""
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope, Draft) and (name in scope.fields.values or name in scope.fields.bits):
                return scope
            if name in scope.raw:
                return None
            scope = scope.outer
        return None

    def is_open(self, name: str) -> bool:
        """True for a field that the caller says nothing of."""
        if name in self.given or name in self.fallback:
            return False
        if name in self.fields.bits:
            node, bit = self.fields.bits[name]
            told = self.values.get(bit.name) is not None or self.values.get(node.name) is not None
            fixed = bit.counts is not None or bit.const is not None or node.const is not None
            return not told and not fixed and node.name not in self.given
        node = self.fields.values[name]
        if node.const is not None or node.check is not None or node.counts is not None or node.equals:
            return False
        if node.bits:
            return all(self.values.get(name) is None for name in (node.name, *(bit.name for bit in node.bits)))
        return self._told(node, whole=False) is None

    # raw values of fields

    def raw_of(self, node: Value) -> Any:
        """The raw value that a field is built with. Raises EncodeError when there is none."""
        raw = self._told(node)
        if raw is None and (self.blank or (self.work.fill and node.hidden) or node.name in self.work.told):
            raw = _nothing(node)
        if raw is None and self.work.fill and isinstance(node.wire, BytesWire) and node.wire.blank:
            raw = ""  # nothing between two marks is no value
        if raw is None:
            raise EncodeError(self.place(node.name), "has no value")
        return raw

    def place(self, name: str) -> str:
        """The name with the structures that it is in, for people."""
        return f"{self.path if self.shown is None else self.shown}.{name}".lstrip(".")

    def _told(self, node: Value, *, whole: bool = True) -> Any:
        """What caller, other fields and spec say. whole: what was worked out and what the spec says are asked too."""
        name = node.name
        if name in self.given:
            return self.given[name]
        value = self.value_of(node)
        if value is not None:
            found = self._from_formulas(name)
            if found is not None:  # a formula of the same name made the value of it
                return found
            if node.negate is not None and isinstance(value, int | float):
                value = self._without_sign(node, value)
            return to_raw(self.place(name), node.convert, value, self.work.zone_s, fractions=_has_fractions(node))
        if node.status is not None and self.values.get(name + STATUS) is not None:
            return word_raw(node.status, self.values[name + STATUS])
        found = self._from_formulas(name)
        if found is not None or not whole:
            return found
        for given in (self.solved, self.fallback):
            if name in given:
                return given[name]
        return node.default if node.default is not None else absent_raw(node.convert)

    def value_of(self, part: Value | Bit | Group) -> Any:
        """The caller's value of a row, by whatever name it goes."""
        place = part.place
        if place is None:
            return self.values.get(part.name)
        if place.naming is not None:
            label = place.naming.render(lambda formula: formula.evaluate_raw(self.find))
            return None if label is None else self.values.get(label)
        number = self.counts.get(part.name, 0)
        if place.repeat == "number":
            return self.values.get(f"{part.name}_{number + 1}")
        several = self.values.get(part.name)
        if not isinstance(several, list):
            return several
        return several[number] if number < len(several) else None

    def counted(self, part: Value | Bit | Group) -> None:
        """The row was built: the next one of its name has the next value."""
        if part.place is not None:
            self.counts[part.name] = self.counts.get(part.name, 0) + 1

    def bits_of(self, node: Value) -> int:
        """An integer with named bits: as a whole, where it is given, with those of its bits that are."""
        whole = self._whole(node)
        known = self.solved.get(node.name, self.fallback.get(node.name, 0)) if whole is None else whole
        raw = self._integer(node, known or 0)
        if node.convert.absent and whole is None and not known and not self._has_bits(node):
            return self._integer(node, absent_raw(node.convert))
        for bit in node.bits:
            part = self._bit(node, bit) if bit.counts is None else 0
            if part is not None:
                every = write_bits(10**20 - 1 if bit.bcd else -1, bit)
                raw = raw & ~every | write_bits(self._integer(bit, part), bit)
        return raw

    def _has_bits(self, node: Value) -> bool:
        """True where anything says what some bit of an integer is."""
        told = (bit.name in self.solved or self.value_of(bit) is not None for bit in node.bits)
        return any(told) or any(self._from_formulas(bit.name) is not None for bit in node.bits)

    def _integer(self, part: Value | Bit, raw: Any) -> int:
        try:
            return int(raw)
        except (TypeError, ValueError, OverflowError):
            raise EncodeError(self.place(part.name), f"{raw!r} is no integer") from None

    def _bit(self, node: Value, bit: Bit) -> Any:
        if bit.const is not None:
            return bit.const
        if bit.name in self.given:
            return self.given[bit.name]
        value = self.value_of(bit)
        if value is not None:
            return to_raw(self.place(bit.name), bit.convert, value, self.work.zone_s)
        if bit.status is not None and self.values.get(bit.name + STATUS) is not None:
            return word_raw(bit.status, self.values[bit.name + STATUS])
        if self._whole(node) is not None:
            return None
        found = self._from_formulas(bit.name)
        if found is not None:
            return found
        if bit.name in self.solved:
            return self.solved[bit.name]
        if bit.name in self.fallback:
            return self.fallback[bit.name]
        return None if node.name in self.solved else absent_raw(bit.convert)

    def is_open_whole(self, node: Value) -> bool:
        """True for an integer with named bits that nobody has given as a whole."""
        return node.const is None and self._whole(node) is None and node.name not in self.solved

    def _whole(self, node: Value) -> int | None:
        """An integer with named bits as the caller gives it."""
        whole = self.given.get(node.name, self.value_of(node))
        return whole if isinstance(whole, int) else None

    # what follows from other values

    def settle(self, formula: Formula, wanted: Any, *, ahead: int = 0, firm: bool = True) -> bool:
        """Chooses the fields that the formula over raw values reads, and the caller does not give, so that it gives
        what is wanted; False when that cannot be done. ahead: what `remaining` is. firm: nothing else may be chosen
        for these fields because of a condition."""
        owners = {
            name: owner
            for name in formula.names
            if (owner := self.owner(name)) and owner.is_open(name) and (firm or not owner.is_firm(name))
        }

        def known(name: str) -> Any:
            if name in FOLLOWS or name.startswith("_"):
                return ahead
            owner = self.owner(name)
            return owner.solved[name] if owner is not None and name in owner.solved else self.find(name)

        unknown = [owner.unknown(name) for name, owner in owners.items()]
        found = solve(formula, known, unknown, wanted, raw=True)
        if found is None:
            return False
        for name, owner in owners.items():
            owner.choose(name, found[name])
            if firm:
                self.work.firm.add((owner.path, name))
        return True

    def is_firm(self, name: str) -> bool:
        """True for a field that holds a count, a size or the choice of a switch."""
        return (self.path, name) in self.work.firm

    def open_names(self, formula: Formula) -> list[str]:
        """Fields that the formula reads and the caller does not give."""
        return [name for name in formula.names if (owner := self.owner(name)) and owner.is_open(name)]

    def choose(self, name: str, raw: Any) -> None:
        before = self.solved.get(name)
        if before == raw and (before is not None or raw is None):
            return
        if before is None and self.early(name) == raw:
            return
        self.solved[name] = raw
        self.raw.pop(name, None)
        self.work.changed = self.work.changed or self.lasting

    def unknown(self, name: str) -> Unknown:
        now = self.early(name)
        if name in self.fields.bits:
            bit = self.fields.bits[name][1]
            return Unknown(name, now or 0, (1 << bit.width) - 1)
        node = self.fields.values[name]
        wire = node.wire
        most = (1 << 8 * wire.size) - 1 if isinstance(wire, IntWire) and wire.sign == "unsigned" else None
        whole = isinstance(wire, IntWire)
        start = (0 if is_number(node.wire) else "") if now is None else now
        return Unknown(name, start, most, fits=lambda value: not (whole and isinstance(value, float)))

    def _without_sign(self, node: Value, value: Any) -> Any:
        """The number without the sign that other values give it."""
        assert node.negate is not None
        if self._settle_values(node.negate, value < 0):
            return abs(value)
        return -value if node.negate.evaluate(self._value) else value

    def _settle_values(self, formula: Formula, wanted: bool) -> bool:
        """As `settle`, for a formula over values."""
        unknown = [self._unknown_value(name) for name in formula.names if self._is_open_value(name)]
        if not unknown:
            return False
        found = solve(formula, self._value, unknown, wanted)
        for name, value in (found or {}).items():
            self.choose(name, to_raw(name, self._part(name).convert, value, self.work.zone_s))
        return found is not None

    def _from_formulas(self, name: str) -> Any:
        """The raw value with which a formula gives the result that the caller wants."""
        for derived in self.fields.derived:
            taken = derived.name != name and self.values.get(name) is not None
            if name not in derived.formula.names or taken or self.values.get(derived.name) is None:
                continue
            found = self._turned(derived, name, self.values)
            if found is not None:
                return found
        for around, derived in self.fields.inner:
            if name not in derived.formula.names or self.values.get(name) is not None:
                continue
            given = self.values.get(around)
            item = given[0] if isinstance(given, list) and given else given
            free = derived.name == name or (isinstance(item, Mapping) and item.get(name) is None)
            if free and isinstance(item, Mapping) and item.get(derived.name) is not None:
                found = self._turned(derived, name, item)
                if found is not None:
                    return found
        return None

    def _turned(self, derived: Derived, name: str, values: Mapping[str, Any]) -> Any:
        """The raw value of a field with which a formula gives the result in `values`."""
        wanted = values[derived.name]
        if not derived.convert.plain:
            try:
                wanted = to_raw(derived.name, derived.convert, wanted, self.work.zone_s)
            except EncodeError:
                return None

        def known(each: str) -> Any:
            own = values.get(each) if each != name else None
            return self._value(each) if own is None else own

        def is_open(each: str) -> bool:
            here = self._is_open_value(each) and (values is self.values or values.get(each) is None)
            return here or each == derived.name == name

        def unknown(formula: Formula) -> list[Unknown]:
            return [self._unknown_value(each) for each in formula.names if is_open(each)]

        if derived.formula.parts:
            value = part_of_time(derived.formula.parts, name, wanted, known, unknown) if is_open(name) else None
            return None if value is None else to_raw(name, self._part(name).convert, value, self.work.zone_s)
        off = 0.0 if derived.convert.decimals is None else 0.5 * 10**-derived.convert.decimals
        found = solve(derived.formula, known, unknown(derived.formula), wanted, off)
        if found is None or name not in found:
            return None
        return to_raw(name, self._part(name).convert, found[name], self.work.zone_s)

    def _part(self, name: str) -> Value | Bit:
        return self.fields.bits[name][1] if name in self.fields.bits else self.fields.values[name]

    def _is_open_value(self, name: str) -> bool:
        if name not in self.fields.bits and name not in self.fields.values:
            return False
        part = self._part(name)
        if name in self.fields.bits and self._whole(self.fields.bits[name][0]) is not None:
            return False
        if part.counts is not None or part.place is not None or name in self.given or name in self.fallback:
            return False
        if part.const is not None or (isinstance(part, Value) and (part.check is not None or part.bits)):
            return False
        return self.values.get(name) is None

    def _unknown_value(self, name: str) -> Unknown:
        part = self._part(name)
        if (isinstance(part, Bit) and part.width <= _FEW_BITS) or part.convert.boolean:
            function = part.convert.function()
            most = 1 << (part.width if isinstance(part, Bit) else 1)
            return Unknown(name, function(0, 0), only=tuple(function(raw, 0) for raw in range(most)))
        now = self.solved.get(name)
        start = (0 if _counts_as_number(part) else "") if now is None else part.convert.function()(now, 0)
        return Unknown(name, start, width=_width(part), fits=lambda value: self._writable(part, value))

    def _writable(self, part: Value | Bit, value: Any) -> bool:
        try:
            raw = to_raw(part.name, part.convert, value, self.work.zone_s)
        except EncodeError:
            return False
        if isinstance(part, Bit):
            return isinstance(raw, int) and 0 <= raw < (10 ** (part.width // 4) if part.bcd else 1 << part.width)
        width = _width(part)
        if width is not None and isinstance(raw, str):
            return len(raw) <= width
        if isinstance(part.wire, IntWire) and isinstance(raw, int):
            bits = 8 * part.wire.size
            low, high = (0, 1 << bits) if part.wire.sign == "unsigned" else (-(1 << bits - 1), 1 << bits - 1)
            return low <= raw < high
        return not (isinstance(raw, float) and isinstance(part.wire, IntWire))

    def _value(self, name: str) -> Any:
        """A value that formulas over values read: the caller's, or that of a raw value that is known."""
        scope: Scope | None = self
        while isinstance(scope, Draft):
            if scope.values.get(name) is not None:
                return scope.values[name]
            if name in scope.fields.bits or name in scope.fields.values:
                part = scope._part(name)
                raw = scope.solved.get(name, scope.fallback.get(name, scope.given.get(name)))
                if raw is None:
                    raw = part.const
                if raw is None and isinstance(part, Bit):
                    whole = scope._whole(scope.fields.bits[name][0])
                    try:
                        raw = 0 if whole is None else read_bits(whole, part)
                    except DecodeError:
                        return None
                return None if raw is None else part.convert.function()(raw, scope.work.zone_s)
            scope = scope.outer
        return self.work.session.get(name)


def _width(part: Value | Bit) -> int | None:
    """Characters of a text of fixed size."""
    if isinstance(part, Bit) or not isinstance(part.wire, BytesWire) or not isinstance(part.wire.size, int):
        return None
    return part.wire.digits or part.wire.size * (1 if part.wire.form == "text" else 2)


def _has_fractions(node: Value) -> bool:
    """True for a number written as text that may have decimals."""
    return isinstance(node.wire, BytesWire) and node.wire.form == "number"


def _counts_as_number(part: Value | Bit) -> bool:
    return isinstance(part, Bit) or is_number(part.wire)


def _nothing(node: Value) -> Any:
    """What a hidden field without a value is filled with."""
    if isinstance(node.wire, IntWire | FloatWire):
        return 0
    assert isinstance(node.wire, BytesWire)
    if is_number(node.wire):
        return 0
    return bytes(node.wire.size) if node.wire.form == "raw" and isinstance(node.wire.size, int) else ""
