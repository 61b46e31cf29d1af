"""Nodes of a layout -> straight-line Python: the body of a generated decode function.

Runs of values with a fixed size become one length check and one `struct` call. Whatever does not fit raises `Refused`:
the reference codec then reads the frame again and says what is wrong and where. So the generated code has to be
right about *whether* a frame is readable and about its values, never about the words of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from decoders.convert import PLAIN, Convert
from decoders.formula import Formula
from decoders.layout import (
    Branch,
    BytesWire,
    Condition,
    Derived,
    FloatWire,
    Group,
    IntWire,
    Node,
    Nodes,
    Prefix,
    Repeat,
    Rest,
    Size,
    Skip,
    Tags,
    Value,
    fixed_size,
    least_size,
    walk,
)
from decoders.raw import INTEGER_FORMS, MAY_FAIL
from decoders.raw_tree import MAX_DEPTH
from decoders.source_writer import SourceWriter

_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_SPLIT = frozenset({"HB", "hB", "Hb"})  # struct codes of integers of three bytes
_TREE_LEAF = 3  # tags up to this many are tested one after the other; more by halves


class Unsupported(Exception):
    """The layout has something that is read by the reference codec only; the text says what."""


@dataclass(slots=True)
class Known:
    """A value of the structure as a variable. `sure`: it always has a value. `number`: it is an int or bool."""

    source: str
    sure: bool = True
    number: bool = False
    hidden: bool = False


@dataclass(slots=True)
class Structure:
    """Variables of one structure while its code is written."""

    outer: Structure | None = None
    raw: dict[str, Known] = field(default_factory=dict)
    values: dict[str, Known] = field(default_factory=dict)
    late: list[Value | Derived] = field(default_factory=list)
    givers: dict[str, str] = field(default_factory=dict)  # value -> variable with the row that gave it
    depth: int = 0

    def find_raw(self, name: str) -> Known | None:
        found = self.raw.get(name)
        return found if found is not None or self.outer is None else self.outer.find_raw(name)

    def find_value(self, name: str) -> Known | None:
        """The value of the innermost structure that has one."""
        found = self.values.get(name)
        if self.outer is None or (found is not None and found.sure):
            return found
        outer = self.outer.find_value(name)
        if found is None or outer is None:
            return found or outer
        return Known(f"({outer.source} if {found.source} is None else {found.source})", outer.sure)


class NodeWriter:
    """Writes the code that reads nodes in the window from (base + shift) to `end`."""

    def __init__(self, out: SourceWriter, nodes: Sequence[Node]) -> None:
        self.out = out
        self.in_layout, self.in_values = _names_used(nodes)
        self.shown, self.contested = _names_given(nodes)
        self.base = ""
        self.shift = 0
        self.end = "e"
        self.checked = 0  # bytes from here on that are known to be there
        self.conditional = 0
        self.presets: list[tuple[str, str]] = []  # variables of the branch being written, and what they start with

    # position

    @property
    def position(self) -> str:
        if not self.base:
            return str(self.shift)
        return f"{self.base} + {self.shift}" if self.shift else self.base

    def advance(self, size: int) -> None:
        self.shift += size
        self.checked = max(0, self.checked - size)

    def move_to(self, variable: str) -> None:
        self.base, self.shift, self.checked = variable, 0, 0

    def require(self, size: int) -> None:
        """Refuses when fewer than `size` bytes are left in the window."""
        if size > self.checked:
            total = self.shift + size
            left = f"{self.base} + {total}" if self.base else str(total)
            self.refuse_if(f"{left} > {self.end}")
            self.checked = size

    def refuse_if(self, test: str) -> None:
        self.out.emit(f"if {test}: raise Refused")

    # nodes

    def write(self, nodes: Sequence[Node], scope: Structure) -> None:
        run: list[Value | Skip] = []
        for node in _flat(nodes):
            if isinstance(node, Derived) or (isinstance(node, Value) and node.negate is not None):
                scope.late.append(node)
            if isinstance(node, Value | Skip) and fixed_size((node,)) is not None:
                run.append(node)
                continue
            if isinstance(node, Derived):
                continue
            self._run(run, scope)
            run = []
            match node:
                case Value():
                    self._sized_value(node, scope)
                case Skip():
                    self._skip(node, scope)
                case Condition():
                    self._condition(node, scope)
                case Branch():
                    self._branch(node, scope)
                case Group():
                    self._group(node, scope)
                case Repeat():
                    self._repeat(node, scope)
                case Tags():
                    self._tags(node, scope)
        self._run(run, scope)

    def _run(self, run: Sequence[Value | Skip], scope: Structure) -> None:
        """One length check for all; one unpack for each stretch of the same byte order."""
        total = fixed_size(run) or 0
        if not total:
            return
        self.require(total)
        stretch: list[Value | Skip] = []
        order = ""
        for node in run:
            wanted = _order(node)
            if wanted and order and wanted != order:
                self._stretch(stretch, order, scope)
                stretch, order = [], ""
            order = order or wanted
            stretch.append(node)
        self._stretch(stretch, order, scope)

    def _stretch(self, nodes: list[Value | Skip], order: str, scope: Structure) -> None:
        pattern = order or ">"
        variables: list[str] = []
        readers: list[tuple[Value, str, str]] = []
        for node in nodes:
            if isinstance(node, Skip) or self._unread(node):
                pattern += f"{fixed_size((node,))}x"
                continue
            code, form = _code(node)
            variable = self.out.fresh(node.name)
            pattern += code
            if code in _SPLIT:
                high, low = self.out.fresh("h"), self.out.fresh("l")
                variables.extend((high, low))
                form = _split_form(node, high, low)
                readers.append((node, variable, form))
                continue
            variables.append(variable)
            readers.append((node, variable, form))
        size = fixed_size(nodes) or 0
        if len(nodes) == 1 and pattern[1:] == "B":
            self.out.emit(f"{variables[0]} = b[{self.position}]")
        elif variables:
            comma = "," if len(variables) == 1 else ""
            self.out.emit(f"{', '.join(variables)}{comma} = {self.out.unpack(pattern)}(b, {self.position})")
        self.advance(size)
        for node, variable, form in readers:
            self._take(node, variable, form, scope)

    def _unread(self, node: Value) -> bool:
        """True for bytes that nobody asks for, such as a check value that was looked at before."""
        if not node.hidden or node.const is not None or node.counts or node.bits or node.equals:
            return False
        may_fail = isinstance(node.wire, BytesWire) and node.wire.form in MAY_FAIL
        return not may_fail and node.name not in self.in_layout and not self._wanted(node.name)

    def _wanted(self, name: str) -> bool:
        """True for the value of a hidden row that a formula reads, or that overrides one that is shown."""
        return name in self.in_values or name in self.shown

    def _take(self, node: Value, variable: str, form: str, scope: Structure) -> None:
        """Raw variable -> raw value, constant check, value."""
        if node.const is not None and form == "{x}.hex()":
            self.refuse_if(f"{variable} != {bytes.fromhex(str(node.const))!r}")
            if node.hidden and node.name not in self.in_layout and not self._wanted(node.name):
                return
        if form:
            self.out.emit(f"{variable} = {form.format(x=variable)}")
        if node.const is not None and form != "{x}.hex()":
            self.refuse_if(f"{variable} != {node.const!r}")
        number = isinstance(node.wire, IntWire) or (
            isinstance(node.wire, BytesWire) and node.wire.form in INTEGER_FORMS
        )
        sure = not self.conditional
        self._keep_raw(node.name, variable, number, scope)
        self._convert(node.name, node.convert, variable, scope, node.hidden, number)
        self._given(node.name, self.contested.get(id(node)), scope)
        for bit in node.bits:
            mask = (1 << bit.width) - 1
            raw = f"({variable} >> {bit.at} & {mask})" if bit.at else f"({variable} & {mask})"
            whole = bit.convert.boolean and not bit.convert.absent
            part = f"({variable} & {1 << bit.at})" if whole else raw
            self._keep_raw(bit.name, raw, True, scope)
            if bit.hidden and bit.convert.boolean and sure and bit.name not in self.shown:  # needs no variable
                test = f"({part} == 0)" if bit.convert.invert else f"({part} != 0)"
                scope.values[bit.name] = Known(test, True, True, True)
            else:
                self._convert(bit.name, bit.convert, part, scope, bit.hidden, True)

    def _given(self, name: str, number: int | None, scope: Structure) -> None:
        """Where several rows give a value and one may negate it: which of them did is known when the code runs."""
        if number is None:
            return
        if name not in scope.givers:
            scope.givers[name] = self.out.fresh("row")
            if self.conditional:
                self.presets.append((scope.givers[name], "0"))
        self.out.emit(f"{scope.givers[name]} = {number}")

    def _convert(self, name: str, convert: Convert, raw: str, scope: Structure, hidden: bool, number: bool) -> None:
        if hidden and not self._wanted(name):
            return
        nullable = convert.nullable
        plain_number = number and convert.enum is None and convert.flags is None and not convert.clock
        plain_number = plain_number and convert.formula is None and convert.linear is None
        before = scope.values.get(name)
        if convert.plain and before is None and raw.isidentifier() and not self.conditional:
            scope.values[name] = Known(raw, True, plain_number, hidden)
            return
        target = self._variable(name, scope, hidden)
        self.out.emit(f"{target.source} = {convert.source(raw, self.out.bind)}")
        target.sure = not nullable and (target.sure or not self.conditional)
        target.number = plain_number and (not self.conditional or before is None or before.number)

    def _variable(self, name: str, scope: Structure, hidden: bool) -> Known:
        """The variable of a value; one in a branch gets None before the branch."""
        known = scope.values.get(name)
        if known is None or not known.source.startswith("v_"):
            variable = self.out.fresh("v_" + name)
            if self.conditional:
                start = known.source if known is not None else "None"
                self.presets.append((variable, start))
            sure, covered = (False, hidden) if known is None else (known.sure, known.hidden)
            known = Known(variable, sure, False, covered)
            scope.values[name] = known
        known.hidden = hidden and known.hidden
        return known

    def _keep_raw(self, name: str, source: str, number: bool, scope: Structure) -> None:
        """What formulas of the layout read under this name from here on. A value read in a branch is kept in one
        variable for all branches, None where none of them did."""
        if not self.conditional:
            scope.raw[name] = Known(source, True, number)
        elif name in self.in_layout:
            shared = self._shared_variable(name, scope)
            self.out.emit(f"{shared} = {source}")
            scope.raw[name] = Known(shared, False, number)

    def _share_all(self, groups: Sequence[Nodes], scope: Structure) -> None:
        """Raw values of a loop's branches: one may read what another kept the time before."""
        values = [node for nodes in groups for node in walk(nodes) if isinstance(node, Value)]
        for name in [name for node in values for name in (node.name, *(bit.name for bit in node.bits))]:
            if name in self.in_layout:
                scope.raw[name] = Known(self._shared_variable(name, scope), False, False)

    def _shared_variable(self, name: str, scope: Structure) -> str:
        known = scope.raw.get(name)
        if known is not None and known.source.startswith("r_"):
            return known.source
        before = scope.find_raw(name)
        shared = self.out.fresh("r_" + name)
        self.presets.append((shared, "None" if before is None else before.source))
        return shared

    @contextmanager
    def branching(self) -> Iterator[None]:
        """Code that may not run: its variables are set before the outermost branch."""
        mark, level = self.out.mark(), self.out.level
        outer, self.presets = self.presets, []
        self.conditional += 1
        yield
        self.conditional -= 1
        presets, self.presets = self.presets, outer
        if self.conditional:
            outer.extend(presets)
            return
        for variable, start in reversed(presets):
            self.out.insert(mark, level, f"{variable} = {start}")

    # values of a size that is read

    def _sized_value(self, node: Value, scope: Structure) -> None:
        assert isinstance(node.wire, BytesWire)
        start, stop = self._span(node.wire.size, scope)
        variable = self.out.fresh(node.name)
        self.out.emit(f"{variable} = b[{start}:{stop}]")
        self._take(node, variable, _form(node.wire), scope)

    def _skip(self, node: Skip, scope: Structure) -> None:
        self._span(node.size, scope)

    def _span(self, size: Size, scope: Structure) -> tuple[str, str]:
        """Checks that the bytes are there and moves behind them; gives their start and end."""
        if isinstance(size, int):
            self.require(size)
            start = self.position
            self.advance(size)
            return start, self.position
        if isinstance(size, Rest):
            start = self.position
            self.move_to(self.end)
            return start, self.end
        if isinstance(size, Prefix):
            length = self._integer(size.wire)
            if size.itself:
                self.out.emit(f"{length} -= {size.wire.size}")
                self.refuse_if(f"{length} < 0")
        else:
            length = self._whole(size, scope)
        start, stop = self.position, self.out.fresh("o")
        self.out.emit(f"{stop} = {start} + {length}")
        self.refuse_if(f"{stop} > {self.end}")
        self.move_to(stop)
        return start, stop

    def _integer(self, wire: IntWire) -> str:
        """Reads an integer that is no value (a length, a count, a key) into a new variable."""
        self.require(wire.size)
        variable = self.out.fresh("n")
        code, form = _code(Value("n", wire, PLAIN))
        if code == "B":
            self.out.emit(f"{variable} = b[{self.position}]")
        elif code in _SPLIT:
            high, low = self.out.fresh("h"), self.out.fresh("l")
            unpack = self.out.unpack((">" if wire.big else "<") + code)
            self.out.emit(f"{high}, {low} = {unpack}(b, {self.position})")
            self.out.emit(f"{variable} = {_split_form(Value('n', wire, PLAIN), high, low)}")
        else:
            order = ">" if wire.big else "<"
            self.out.emit(f"{variable} = {self.out.unpack(order + code)}(b, {self.position})[0]")
            if form:
                self.out.emit(f"{variable} = {form.format(x=variable)}")
        self.advance(wire.size)
        return variable

    def _whole(self, formula: Formula, scope: Structure) -> str:
        """A count or size by formula: a whole number that is not negative."""
        if formula.text.isdigit():
            return formula.text
        variable = self.out.fresh("n")
        source, safe = self.layout_formula(formula, scope)
        self.out.emit(f"{variable} = {source}")
        if safe and formula.text in formula.names:
            self.refuse_if(f"{variable} < 0")
        else:
            self.refuse_if(f"{variable}.__class__ is not int or {variable} < 0")
        return variable

    def layout_formula(self, formula: Formula, scope: Structure) -> tuple[str, bool]:
        """Source of a formula over raw values; True when it cannot give None."""
        sources: dict[str, str] = {}
        safe = formula.plain
        for name in formula.names:
            if name == "remaining":
                sources[name] = f"({self.end} - {self._bracket()})"
            elif name == "next_u8":
                sources[name], safe = f"(b[{self.position}] if {self.position} < {self.end} else None)", False
            elif name == "next_u16":
                first, second = self.position, f"{self.position} + 1"
                sources[name] = f"(b[{first}] << 8 | b[{second}] if {second} < {self.end} else None)"
                safe = False
            elif name == "length":
                sources[name] = "body_length"
            elif name == "port":
                sources[name] = "s.port"
            else:
                known = scope.find_raw(name)
                sources[name] = known.source if known is not None else "None"
                safe = safe and known is not None and known.sure and known.number
        if safe:
            return formula.inline(sources), True
        arguments = ", ".join(sources[name] for name in formula.names)
        return f"{self.out.bind(formula.function)}({arguments})", False

    def _bracket(self) -> str:
        return f"({self.position})" if self.base and self.shift else self.position

    # structures

    def _condition(self, node: Condition, scope: Structure) -> None:
        test, _ = self.layout_formula(node.test, scope)
        after = self.out.fresh("o")
        start = self.position
        end = self.end
        with self.branching():
            self.out.emit(f"{after} = {start}")
            with self.out.block(f"if {test}:"):
                self.write(node.nodes, scope)
                self.out.emit(f"{after} = {self.position}")
        self.end = end
        self.move_to(after)

    def _branch(self, node: Branch, scope: Structure) -> None:
        source, safe = self.layout_formula(node.on, scope)
        on, after = self.out.fresh("on"), self.out.fresh("o")
        state = (self.base, self.shift, self.checked)
        with self.branching():
            self.out.emit(f"{on} = {source}")
            word = "if"
            for spans, nodes in node.cases:
                with self.out.block(f"{word} {_in_spans(on, spans, safe)}:"):
                    self.base, self.shift, self.checked = state
                    self.write(nodes, scope)
                    self.out.emit(f"{after} = {self.position}")
                word = "elif"
            with self.out.block("else:"):
                self.base, self.shift, self.checked = state
                if node.default is None:
                    self.out.emit("raise Refused")
                else:
                    self.write(node.default, scope)
                    self.out.emit(f"{after} = {self.position}")
        self.move_to(after)

    def _group(self, node: Group, scope: Structure) -> None:
        end = self.end
        inner = self._inner(scope) if node.name else scope
        if node.size is not None:
            start, stop = self._span(node.size, scope)
            resume = (self.base, self.shift, self.checked)
            end_variable = self.out.fresh("e")
            begin = self.out.fresh("o")
            self.out.emit(f"{begin}, {end_variable} = {start}, {stop}")
            self.move_to(begin)
            self.end = end_variable
        self.write(node.nodes, inner)
        if node.size is not None:
            if not node.skip_rest:
                self.refuse_if(f"{self._bracket()} != {self.end}")
            self.end = end
            self.base, self.shift, self.checked = resume
        if node.name:
            variable = self._variable(node.name, scope, hidden=False)
            self.assemble(inner, variable.source)
            variable.sure = not self.conditional

    def _inner(self, scope: Structure) -> Structure:
        if scope.depth >= MAX_DEPTH:
            raise Unsupported(f"structures nest deeper than {MAX_DEPTH}")
        return Structure(scope, depth=scope.depth + 1)

    def _single(self, node: Repeat, scope: Structure) -> None:
        """A list of one item needs no loop."""
        inner = self._inner(scope)
        self.write(node.nodes, inner)
        self.finish(inner)
        variable = self._variable(node.name, scope, hidden=False)
        if node.keep is None:
            item = self.out.fresh("d")
            self.assemble(inner, item)
            self.out.emit(f"{variable.source} = [{item}]")
        else:
            self.out.emit(f"{variable.source} = []")
            test, _ = self.value_formula(node.keep, inner)
            with self.out.block(f"if {test}:"):
                self.assemble(inner, f"{variable.source}.append", call=True)
        variable.sure = not self.conditional or variable.sure

    def _repeat(self, node: Repeat, scope: Structure) -> None:
        one = node.count is not None and node.count.text == "1"
        if one and node.size is None and node.item_prefix is None:
            self._single(node, scope)
            return
        count, counter = self._count(node.count, node.count_wire, node.max_items, scope)
        end = self.end
        resume: tuple[str, int, int] | None = None
        if node.size is not None:
            start, stop = self._span(node.size, scope)
            resume = (self.base, self.shift, self.checked)
            self.end = self.out.fresh("e")
            begin = self.out.fresh("o")
            self.out.emit(f"{begin}, {self.end} = {start}, {stop}")
            self.move_to(begin)
        left = self._whole(node.left, scope) if node.left is not None else ""
        items, place = self.out.fresh("items"), self.out.fresh("o")
        self.out.emit(f"{items} = []")
        self.out.emit(f"{place} = {self.position}")
        head = f"for _ in range({count}):" if count else f"while {self.end} - {place} > {left or 0}:"
        if not count:
            self.out.emit(f"{counter} = 0")
        outside, self.conditional = self.conditional, 0
        with self.out.block(head):
            if not count:
                self.refuse_if(f"{counter} >= {node.max_items}")
                self.out.emit(f"{counter} += 1")
            self.move_to(place)
            inner = self._inner(scope)
            self._item(node, inner, place)
            self._append(node, inner, items)
        self.conditional = outside
        self.move_to(place)
        if resume is not None:
            self.refuse_if(f"{place} != {self.end}")
            self.base, self.shift, self.checked = resume
        self.end = end
        variable = self._variable(node.name, scope, hidden=False)
        self.out.emit(f"{variable.source} = {items}")
        variable.sure = not self.conditional or variable.sure

    def _item(self, node: Repeat, inner: Structure, place: str) -> None:
        if node.item_prefix is None:
            self.write(node.nodes, inner)
            self.out.emit(f"{place} = {self.position}")
            return
        end = self.end
        start, stop = self._span(Prefix(node.item_prefix), inner)
        begin = self.out.fresh("o")
        self.end = self.out.fresh("e")
        self.out.emit(f"{begin}, {self.end} = {start}, {stop}")
        self.move_to(begin)
        self.write(node.nodes, inner)
        self.refuse_if(f"{self._bracket()} != {self.end}")
        self.out.emit(f"{place} = {self.end}")
        self.end = end

    def _append(self, node: Repeat, inner: Structure, items: str) -> None:
        self.finish(inner)
        if node.keep is None:
            self.assemble(inner, f"{items}.append", call=True)
            return
        test, _ = self.value_formula(node.keep, inner)
        with self.out.block(f"if {test}:"):
            self.assemble(inner, f"{items}.append", call=True)

    def _count(self, formula: Formula | None, wire: IntWire | None, most: int, scope: Structure) -> tuple[str, str]:
        """Variable that holds the number of items ("" when they go to the end), and one to count with."""
        if wire is not None:
            count = self._integer(wire)
            if 1 << 8 * wire.size > most:
                self.refuse_if(f"{count} > {most}")
            return count, ""
        if formula is not None:
            count = self._whole(formula, scope)
            if not count.isdigit() or int(count) > most:
                self.refuse_if(f"{count} > {most}")
            return count, ""
        return "", self.out.fresh("i")

    def _tags(self, node: Tags, scope: Structure) -> None:
        count, counter = self._count(node.count, node.count_wire, node.max_items, scope)
        end = self.end
        resume: tuple[str, int, int] | None = None
        if node.size is not None:
            start, stop = self._span(node.size, scope)
            resume = (self.base, self.shift, self.checked)
            self.end = self.out.fresh("e")
            begin = self.out.fresh("o")
            self.out.emit(f"{begin}, {self.end} = {start}, {stop}")
            self.move_to(begin)
        if node.raw and node.raw not in scope.values:
            raw = self._variable(node.raw, scope, hidden=False)
            raw.sure = False
            if not self.conditional:
                self.out.emit(f"{raw.source} = None")
        place = self.out.fresh("o")
        with self.branching():
            self._share_all([nodes for _, nodes in node.tags], scope)
            self.out.emit(f"{place} = {self.position}")
            if not count:
                self.out.emit(f"{counter} = 0")
            head = f"for _ in range({count}):" if count else f"while {place} < {self.end}:"
            with self.out.block(head):
                if not count:
                    self.refuse_if(f"{counter} >= {node.max_items}")
                    self.out.emit(f"{counter} += 1")
                self.move_to(place)
                self._tag(node, scope, place)
        if resume is not None:
            self.base, self.shift, self.checked = resume
        else:
            self.move_to(place)
        self.end = end

    def _tag(self, node: Tags, scope: Structure, place: str) -> None:
        window_end = self.end
        header = node.key.size + (node.length.size if isinstance(node.length, IntWire) else 0)
        fixed = node.length if isinstance(node.length, int) else 0
        self.require(header + fixed)
        if node.length_first and isinstance(node.length, IntWire):
            size = self._integer(node.length)
            self.refuse_if(f"{size} < {node.key.size}")
            stop = self.out.fresh("e")
            self.out.emit(f"{stop} = {self.position} + {size}")
            self.refuse_if(f"{stop} > {window_end}")
            key = self._integer(node.key)
            self._value_of(node, scope, key, place, stop)
            return
        key = self._integer(node.key)
        if node.length is None:
            self._dispatch(node, scope, key, place, window_end)
            return
        if isinstance(node.length, int):
            stop = self.out.fresh("e")
            self.out.emit(f"{stop} = {self.position} + {node.length}")
        else:
            size = self._integer(node.length)
            if node.length_counts_key:
                self.out.emit(f"{size} -= {header}")
                self.refuse_if(f"{size} < 0")
            stop = self.out.fresh("e")
            self.out.emit(f"{stop} = {self.position} + {size}")
            self.refuse_if(f"{stop} > {window_end}")
        self._value_of(node, scope, key, place, stop)

    def _value_of(self, node: Tags, scope: Structure, key: str, place: str, stop: str) -> None:
        """The value of one item: what is left up to `stop`."""
        window_end = self.end
        begin = self.out.fresh("o")
        self.out.emit(f"{begin} = {self.position}")
        self.out.emit(f"{place} = {stop}")
        self.move_to(begin)
        self.end, self.checked = stop, node.length if isinstance(node.length, int) else 0
        if node.raw:
            raw = scope.values[node.raw].source
            self.out.emit(f"if {raw} is None: {raw} = []")
            self.out.emit(f"{raw}.append({{'id': {key}, 'value': b[{begin}:{stop}].hex()}})")
        self._dispatch(node, scope, key, place, window_end)
        self.end = window_end

    def _dispatch(self, node: Tags, scope: Structure, key: str, place: str, window_end: str) -> None:
        """Finds the tag by halves, so that a long list of tags costs a few comparisons."""
        state = (self.base, self.shift, self.checked, self.end)
        tags = sorted(node.tags, key=lambda tag: tag[0])

        def leaf(part: list[tuple[int, Nodes]]) -> None:
            word = "if"
            for number, nodes in part:
                least = least_size(nodes)
                known = node.length is None or state[2] >= least
                enough = "" if known else f" and {self.end} - {state[0]} >= {least}"
                with self.out.block(f"{word} {key} == {number}{enough}:"):
                    self.base, self.shift, self.checked, self.end = state
                    if node.length is not None:
                        self.checked = least
                    self.write(nodes, scope)
                    if node.length is None:
                        self.out.emit(f"{place} = {self.position}")
                word = "elif"
            self.base, self.shift, self.checked, self.end = state
            if not part:
                self._unknown(node, scope, key, place, window_end)
                return
            with self.out.block("else:"):
                self._unknown(node, scope, key, place, window_end)

        def tree(part: list[tuple[int, Nodes]]) -> None:
            if len(part) <= _TREE_LEAF:
                leaf(part)
                return
            middle = len(part) // 2
            with self.out.block(f"if {key} < {part[middle][0]}:"):
                tree(part[:middle])
            with self.out.block("else:"):
                tree(part[middle:])

        tree(tags)

    def _unknown(self, node: Tags, scope: Structure, key: str, place: str, window_end: str) -> None:
        if node.unknown == "stop":
            self.out.emit(f"{place} = {window_end}")
            self.out.emit("break")
        elif node.unknown == "refuse" or node.length is None:
            self.out.emit("raise Refused")
        elif node.unknown.startswith("into:"):
            self._into(node, scope, key)
        else:
            self.out.emit("pass")

    def _into(self, node: Tags, scope: Structure, key: str) -> None:
        name = node.unknown[5:]
        target = self._variable(name, scope, hidden=False)
        target.sure = False
        self.out.emit(f"if {target.source} is None: {target.source} = {{}}")
        self.out.emit(f"{target.source}[str({key})] = {self._raw_value(node, scope)}")

    def _raw_value(self, node: Tags, scope: Structure) -> str:
        """Reads the value of an unknown tag into a variable."""
        wire = node.unknown_wire
        if isinstance(wire, IntWire):
            return self._integer(wire)
        if not isinstance(wire, BytesWire):
            raise Unsupported("unknown tags as floats")
        start, stop = self._span(wire.size, scope)
        variable = self.out.fresh("x")
        self.out.emit(f"{variable} = b[{start}:{stop}]")
        form = _form(wire)
        if form:
            self.out.emit(f"{variable} = {form.format(x=variable)}")
        return variable

    # what needs the whole structure

    def value_formula(self, formula: Formula, scope: Structure) -> tuple[str, bool]:
        """Source of a formula over values; True when it cannot give None."""
        sources: dict[str, str] = {}
        safe = formula.plain
        for name in formula.names:
            known = scope.find_value(name)
            sources[name] = known.source if known is not None else "None"
            safe = safe and known is not None and known.sure and known.number
        if safe and "/" not in formula.source:
            return formula.inline(sources), True
        arguments = ", ".join(sources[name] for name in formula.names)
        return f"{self.out.bind(formula.function)}({arguments})", False

    def finish(self, scope: Structure) -> None:
        """`negate` and formulas, in the order of the rows."""
        for late in scope.late:
            if isinstance(late, Derived):
                self._derived(late, scope)
            elif late.negate is not None and late.name in scope.values:
                known = scope.values[late.name]
                test, _ = self.value_formula(late.negate, scope)
                guard = "" if known.sure else f"{known.source} is not None and "
                if id(late) in self.contested:
                    guard += f"{scope.givers[late.name]} == {self.contested[id(late)]} and "
                target = known.source
                if not target.startswith("v_"):
                    target = self.out.fresh("v_" + late.name)
                    self.out.emit(f"{target} = {known.source}")
                    scope.values[late.name] = Known(target, known.sure, known.number, known.hidden)
                minus = f"-{target}" if known.number else f"negative({target})"
                self.out.emit(f"if {guard}{test}: {target} = {minus}")
        scope.late = []

    def _derived(self, node: Derived, scope: Structure) -> None:
        source, safe = self.value_formula(node.formula, scope)
        if not node.convert.plain:
            part = self.out.fresh("t")
            self.out.emit(f"{part} = {source}")
            guard = "" if safe else f" if {part} is not None else None"
            source = node.convert.source(part, self.out.bind) + guard
        if node.test is not None:
            test, _ = self.value_formula(node.test, scope)
            source, safe = f"({source} if {test} else None)", False
        before = scope.values.get(node.name)
        if before is None:
            variable = self.out.fresh("v_" + node.name)
            self.out.emit(f"{variable} = {source}")
            scope.values[node.name] = Known(variable, safe, False, node.hidden)
            return
        part = self.out.fresh("t")
        self.out.emit(f"{part} = {source}")
        target = before.source
        if not target.startswith("v_"):
            target = self.out.fresh("v_" + node.name)
            self.out.emit(f"{target} = {before.source}")
        self.out.emit(f"if {part} is not None: {target} = {part}")
        scope.values[node.name] = Known(target, before.sure, False, before.hidden and node.hidden)

    def assemble(self, scope: Structure, target: str, *, call: bool = False) -> None:
        """Puts the values of a structure into a dict: the sure ones as a literal, the others when they are there."""
        self.finish(scope)
        shown = {name: known for name, known in scope.values.items() if not known.hidden}
        sure = ", ".join(f"{name!r}: {known.source}" for name, known in shown.items() if known.sure)
        maybe = [(name, known) for name, known in shown.items() if not known.sure]
        if call and not maybe:
            self.out.emit(f"{target}({{{sure}}})")
            return
        variable = self.out.fresh("d") if call else target
        self.out.emit(f"{variable} = {{{sure}}}")
        for name, known in maybe:
            self.out.emit(f"if {known.source} is not None: {variable}[{name!r}] = {known.source}")
        if call:
            self.out.emit(f"{target}({variable})")


def _flat(nodes: Sequence[Node]) -> Iterator[Node]:
    """Nodes with unnamed, unbounded groups opened, so that their values join the run around them."""
    for node in nodes:
        if isinstance(node, Group) and not node.name and node.size is None:
            yield from _flat(node.nodes)
        else:
            yield node


def _names_used(nodes: Sequence[Node]) -> tuple[set[str], set[str]]:
    """Names that formulas of the layout read: raw ones, and values."""
    raw: set[str] = set()
    values: set[str] = set()
    for node in walk(nodes):
        match node:
            case Condition(test=formula) | Branch(on=formula):
                raw.update(formula.names)
            case Derived(formula=formula, test=test):
                values.update(formula.names)
                values.update(test.names if test is not None else ())
            case Value(negate=formula) if formula is not None:
                values.update(formula.names)
        for name in ("count", "left"):
            formula_ = getattr(node, name, None)
            if isinstance(formula_, Formula):
                raw.update(formula_.names)
        size = node.wire.size if isinstance(node, Value) else getattr(node, "size", None)
        if isinstance(size, Formula):
            raw.update(size.names)
        if isinstance(node, Repeat) and node.keep is not None:
            values.update(node.keep.names)
    return raw, values


def _names_given(nodes: Sequence[Node]) -> tuple[set[str], dict[int, int]]:
    """Names that some row shows, and numbers for the rows that share a name which one of them negates."""
    shown: set[str] = set()
    rows: dict[str, list[Value]] = {}
    for node in walk(nodes):
        if isinstance(node, Value):
            rows.setdefault(node.name, []).append(node)
            shown.update(bit.name for bit in node.bits if not bit.hidden and bit.counts is None)
        if isinstance(node, Value | Derived) and not node.hidden:
            shown.add(node.name)
    contested = {
        id(row): number
        for same in rows.values()
        if len(same) > 1 and any(row.negate is not None for row in same)
        for number, row in enumerate(same, 1)
    }
    return shown, contested


def _order(node: Value | Skip) -> str:
    """Byte order that a node needs; "" for any."""
    if isinstance(node, Value) and isinstance(node.wire, IntWire | FloatWire) and node.wire.size in (2, 3, 4, 8):
        return ">" if node.wire.big else "<"
    return ""


def _code(node: Value) -> tuple[str, str]:
    """struct code of a value, and what then makes the raw value out of it ("" for nothing; `{x}` is the variable)."""
    wire = node.wire
    if isinstance(wire, FloatWire):
        return ("f" if wire.size == 4 else "d"), ""
    if isinstance(wire, BytesWire):
        return f"{wire.size}s", _form(wire)
    if wire.size == 3:  # two parts are cheaper than `from_bytes`
        return ("hB" if wire.sign == "twos" else "HB") if wire.big else ("Hb" if wire.sign == "twos" else "HB"), ""
    code = _CODES.get(wire.size)
    if code is None:
        order = "big" if wire.big else "little"
        signed = ", signed=True" if wire.sign == "twos" else ""
        form = f"from_bytes({{x}}, {order!r}{signed})"
        if wire.sign == "magnitude":
            form = f"magnitude({form}, {wire.size})"
        return f"{wire.size}s", form
    if wire.sign == "twos":
        return code, ""
    return code.upper(), f"magnitude({{x}}, {wire.size})" if wire.sign == "magnitude" else ""


def _split_form(node: Value, first: str, second: str) -> str:
    """The value of a three-byte integer from its two parts."""
    assert isinstance(node.wire, IntWire)
    text = f"{first} << 8 | {second}" if node.wire.big else f"{second} << 16 | {first}"
    return f"magnitude({text}, 3)" if node.wire.sign == "magnitude" else text


def _form(wire: BytesWire) -> str:
    match wire.form:
        case "hex":
            return "{x}.hex()"
        case "text":
            trim = ".strip('\\0 ')" if wire.trim else ""
            return f"{{x}}.decode({wire.encoding!r}, 'replace'){trim}"
        case "bcd":
            return f"bcd_text({{x}}, {wire.digits})"
        case "mac":
            return "{x}.hex(':')"
        case "uint" | "int" | "uintle" | "intle":
            return f"integer_of({{x}}, {wire.form!r})"
    return ""


def _in_spans(on: str, spans: Sequence[tuple[Any, Any]], safe: bool) -> str:
    tests = []
    for low, high in spans:
        if low == high:
            tests.append(f"{on} == {low!r}")
        else:
            whole = "" if safe else f"{on}.__class__ in INTEGERS and "
            tests.append(f"({whole}{low} <= {on} <= {high})")
    return " or ".join(tests)
