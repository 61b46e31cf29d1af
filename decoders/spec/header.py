"""`spec header`: a C header (C99) of a product, so that firmware and cloud share one truth.

Messages of fixed layout become packed structs of the whole frame. Integers of several bytes keep the order that they
have on the wire, and their names say it (`_be`, `_le`): whoever reads them converts them. Bits are masks and shifts.
A layout that is not fixed is a comment that says which row is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders import layout
from decoders.layout import FloatWire, IntWire, Nodes, Value
from decoders.product import CompiledProduct
from decoders.reference.codec import FrameLayout
from decoders.spec.c_words import block, c_comment, c_hex, c_mask, c_member, c_number, c_span, c_symbol
from decoders.spec.node_words import (
    bit_note,
    bit_option,
    children,
    constant_count,
    node_note,
    row_scale,
    wire_word,
)

__all__ = ["header_text"]

_STEP = "    "


def header_text(product: CompiledProduct) -> str:
    """The whole header. Deterministic."""
    return _Header(product).text()


class _NotFixed(Exception):
    """A layout whose places depend on what stands in it. The text says which row and why."""


@dataclass(slots=True)
class _Struct:
    """Members of one struct while it is written. offset: bytes before the next one."""

    indent: str
    lines: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    offset: int = 0
    reserved: int = 0

    def name(self, wanted: str) -> str:
        """A member name that no other member has and that C allows."""
        plain = c_member(wanted)
        found, number = plain, 2
        while found in self.names:
            found, number = f"{plain}_{number}", number + 1
        self.names.add(found)
        return found

    def add(self, declaration: str, size: int, note: str) -> None:
        comment = f" /* {self.offset}: {c_comment(note)} */" if note else f" /* {self.offset} */"
        self.lines.append(f"{self.indent}{declaration};{comment}")
        self.offset += size


class _Header:
    def __init__(self, product: CompiledProduct) -> None:
        self.product = product
        self.spec = product.spec
        self.prefix = c_symbol(product.id).lower()
        self.upper = self.prefix.upper()
        self.defined: dict[str, str] = {}
        self.known: Nodes = ()
        self.documents = [kind.layout for kind in product.kinds if kind.reference is None]

    def text(self) -> str:
        spec, guard = self.spec, f"{self.upper}_H"
        head = [f"/* {c_comment(spec.title or spec.product)}", f" * product {spec.product}, version {spec.version}"]
        head += [f" * {c_comment(spec.source)}"] if spec.source else []
        head += [
            " *",
            " * Made from the product's spec: change the spec, not this file. A member whose name ends with _be is",
            " * big-endian, with _le little-endian. A comment begins with the offset of its member in bytes.",
            " */",
        ]
        parts = [
            *("\n".join(head), f"#ifndef {guard}\n#define {guard}", "#include <stdint.h>", self._packed()),
            *self._constants(),
            *(part for kind in self.product.kinds for part in self._kind(kind.layout)),
            *self._unframed(),
            f"#endif /* {guard} */",
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _packed(self) -> str:
        return "\n".join(
            [
                f"#ifndef {self.upper}_PACKED /* how the compiler packs structs */",
                "#if defined(__GNUC__) || defined(__clang__)",
                f"#define {self.upper}_PACKED __attribute__((packed))",
                "#else",
                f'#error "define {self.upper}_PACKED"',
                "#endif",
                "#endif",
            ]
        )

    # constants

    def define(self, name: str, value: str) -> str:
        """One constant; "" when it is there already. A name that stands for another value gets a number."""
        found, number = name, 2
        while found in self.defined and self.defined[found] != value:
            found, number = f"{name}_{number}", number + 1
        if found in self.defined:
            return ""
        self.defined[found] = value
        return f"#define {found} {value}"

    def _constants(self) -> Iterator[str]:
        yield block("Product", [self.define(f"{self.upper}_VERSION", f"{self.spec.version}u")])
        ids: list[str] = []
        for name, message in self.spec.messages.items():
            for key, given in message.when.items():
                ids += self._numbers(f"{self.upper}_{c_symbol(name)}_{c_symbol(key)}", given)
        yield block("What makes a frame which message", ids)
        for name, enum in self.spec.enums.items():
            yield block(f"enum {name}", self._enum(f"{self.upper}_{c_symbol(name)}", enum))
        for name, flags in self.spec.flags.items():
            yield block(f"flags {name}", self._flags(f"{self.upper}_{c_symbol(name)}", flags))

    def _numbers(self, name: str, given: Any) -> list[str]:
        """Constants of a `when` value: a number, a range, a list of them; texts are left out."""
        values = given if isinstance(given, list) else [given]
        lines: list[str] = []
        for index, value in enumerate(values):
            own = f"{name}_{index + 1}" if len(values) > 1 else name
            span = c_span(value)
            if span is not None and span[0] == span[1]:
                lines.append(self.define(own, c_hex(span[0])))
            elif span is not None:
                lines += [self.define(f"{own}_MIN", c_hex(span[0])), self.define(f"{own}_MAX", c_hex(span[1]))]
        return lines

    def _enum(self, name: str, enum: Mapping[Any, Any]) -> list[str]:
        lines = []
        for key, word in enum.items():
            span = c_span(key)
            if span is None or word is None:
                continue
            own = f"{name}_{c_symbol(str(word))}"
            if span[0] == span[1]:
                lines.append(self.define(own, c_number(span[0])))
            else:
                lines += [self.define(f"{own}_MIN", c_number(span[0])), self.define(f"{own}_MAX", c_number(span[1]))]
        return lines

    def _flags(self, name: str, flags: Mapping[Any, str]) -> list[str]:
        lines = []
        for bit, word in flags.items():
            plain = str(bit).lstrip("!")
            if plain.isdigit() and int(plain) < 64:
                own = f"{name}_{c_symbol(word)}" + ("_NOT" if str(bit).startswith("!") else "")
                lines.append(self.define(own, c_mask(1 << int(plain))))
        return lines

    # structs

    def _kind(self, frame: FrameLayout) -> Iterator[str]:
        several = len(self.product.kinds) > 1
        suffix = f"_{c_symbol(frame.name).lower()}" if several else ""
        if any(message.text for message in frame.messages.values()) or frame in self.documents:
            yield f"/* {frame.name} frames are text: no structs */"
            return
        framed = bool(frame.header or frame.trailer)
        if framed:
            yield self._struct(f"{self.prefix}{suffix}_header_t", frame.header, f"header of {frame.name} frames")
            yield self._struct(f"{self.prefix}{suffix}_trailer_t", frame.trailer, f"trailer of {frame.name} frames")
        for name, message in frame.messages.items():
            title = self.spec.messages[name].title
            what = f"{name}: {title}" if title else name
            where = f" in {frame.name} frames" if several else ""
            nodes = (*message.header, *message.body, *message.trailer)
            alone = len([kind for kind in self.product.kinds if kind.reference and name in kind.layout.messages]) == 1
            type_name = f"{self.prefix}_{c_symbol(name).lower()}{'' if alone else suffix}_t"
            yield self._struct(type_name, nodes, what + where, known=(*frame.header, *frame.trailer))

    def _unframed(self) -> Iterator[str]:
        """Messages that the gateway sends outside of all frames."""
        shown = {name for kind in self.product.kinds for name in kind.layout.messages}
        for (_kind, name), encoder in self.product.encoders.items():
            if name not in shown:
                nodes = encoder.frame.messages[name].body
                yield self._struct(f"{self.prefix}_{c_symbol(name).lower()}_t", nodes, name)

    def _struct(self, name: str, nodes: Nodes, what: str, known: Nodes = ()) -> str:
        """known: nodes whose constants stand there already."""
        self.known = known
        struct = _Struct(_STEP)
        constants: list[str] = []
        try:
            self._members(struct, nodes, f"{self.upper}_{c_symbol(name.removesuffix('_t').removeprefix(self.prefix))}",
                          constants)  # fmt: skip
        except _NotFixed as reason:
            lines = [line for line in constants if line]
            return "\n".join([f"/* {c_comment(what)}: no struct: {c_comment(str(reason))} */", *lines])
        if not struct.lines:
            return f"/* {c_comment(what)}: no bytes */"
        size = self.define(f"{name.removesuffix('_t').upper()}_SIZE", f"{struct.offset}u")
        return "\n".join(
            [
                f"/* {c_comment(what)} */",
                *(line for line in [*constants, size] if line),
                "typedef struct {",
                *struct.lines,
                f"}} {self.upper}_PACKED {name};",
            ]
        )

    def _members(self, struct: _Struct, nodes: Nodes, place: str, constants: list[str]) -> None:
        for node in nodes:
            row = self.product.origins.row(node)
            note = "; ".join(
                part for part in (getattr(row, "unit", ""), row_scale(row), node_note(node, row, self.spec)) if part
            )
            match node:
                case layout.Derived() | layout.Given():
                    continue
                case layout.Value():
                    self._value(struct, node, row, place, note, constants)
                case layout.Skip(size=int(size)):
                    struct.reserved += 1
                    if size:
                        struct.add(f"uint8_t {struct.name(f'reserved_{struct.reserved}')}[{size}]", size, note)
                case layout.Group(size=None, name="", encoded=""):
                    self._members(struct, node.nodes, place, constants)
                case layout.Group(encoded="") if layout.fixed_size((node,)) is not None:
                    self._group(struct, node, place, note, constants)
                case layout.Repeat() if constant_count(node) is not None and _fixed_items(node):
                    self._array(struct, node, place, note, constants)
                case _:
                    self._all_constants(node, place, constants)
                    raise _NotFixed(_why(node))

    def _value(self, struct: _Struct, node: Value, row: Any, place: str, note: str, constants: list[str]) -> None:
        constants += self._names(node, row, place)
        wire = node.wire
        if isinstance(wire, IntWire | FloatWire):
            plain = isinstance(wire, IntWire) and wire.size in (1, 2, 4, 8)
            order = "" if wire.size == 1 else "_be" if wire.big else "_le"
            name = struct.name(node.name + order)
            if plain and isinstance(wire, IntWire):
                letter = "int" if wire.sign == "twos" else "uint"
                struct.add(f"{letter}{8 * wire.size}_t {name}", wire.size, _joined(note, wire))
            elif isinstance(wire, FloatWire):
                struct.add(
                    f"uint{8 * wire.size}_t {name}", wire.size, "; ".join(("bits of IEEE 754", note)).rstrip("; ")
                )
            else:
                struct.add(f"uint8_t {name}[{wire.size}]", wire.size, "; ".join((wire_word(wire), note)).rstrip("; "))
            return
        size = layout.fixed_size((node,))
        if size is None:
            raise _NotFixed(_why(node))
        if size:
            form = getattr(wire, "form", "")
            struct.add(
                f"uint8_t {struct.name(node.name)}[{size}]", size, "; ".join(part for part in (form, note) if part)
            )

    def _group(self, struct: _Struct, node: layout.Group, place: str, note: str, constants: list[str]) -> None:
        size = layout.fixed_size((node,)) or 0
        inner = _Struct(struct.indent + _STEP)
        self._members(inner, node.nodes, place, constants)
        if inner.offset < size:
            inner.add(f"uint8_t {inner.name('rest')}[{size - inner.offset}]", size - inner.offset, "")
        if inner.offset != size:
            raise _NotFixed(f"`{node.name}` has {size} bytes and its rows {inner.offset}")
        if inner.lines:
            struct.lines += [f"{struct.indent}struct {{", *inner.lines]
            struct.add(f"}} {self.upper}_PACKED {struct.name(node.name or 'group')}", size, note)

    def _array(self, struct: _Struct, node: layout.Repeat, place: str, note: str, constants: list[str]) -> None:
        count = constant_count(node) or 0
        inner = _Struct(struct.indent + _STEP)
        self._members(inner, node.nodes, place, constants)
        if inner.lines and count:
            struct.lines += [f"{struct.indent}struct {{", *inner.lines]
            struct.add(f"}} {self.upper}_PACKED {struct.name(node.name)}[{count}]", inner.offset * count, note)

    def _names(self, node: Value, row: Any, place: str) -> list[str]:
        """Constants of a value's own enum and flags, and masks and shifts of its bits."""

        def note_of(bit: layout.Bit, option: Any) -> str:
            return bit_note(bit, option, self.spec)

        if any(node is other for other in self.known):
            return []
        own = f"{place}_{c_symbol(node.name)}"
        lines = self._own_words(own, row)
        if node.const is not None and isinstance(node.const, int):
            lines.append(self.define(f"{own}_CONST", c_hex(node.const)))
        for bit in node.bits:
            name = f"{own}_{c_symbol(bit.name)}"
            if bit.parts:
                for index, (low, width) in enumerate(bit.parts):
                    lines.append(self.define(f"{name}_{index + 1}_SHIFT", f"{low}u"))
                    lines.append(self.define(f"{name}_{index + 1}_MASK", c_mask(((1 << width) - 1) << low)))
            else:
                lines.append(self.define(f"{name}_SHIFT", f"{bit.at}u"))
                lines.append(self.define(f"{name}_MASK", c_mask(((1 << bit.width) - 1) << bit.at)))
            option = bit_option(row, node, bit)
            words = "; ".join(
                part for part in (getattr(option, "unit", ""), row_scale(option), note_of(bit, option)) if part
            )
            if words and lines[-1]:
                lines[-1] += f" /* {c_comment(words)} */"
            lines += self._own_words(name, option)
        return [line for line in lines if line]

    def _own_words(self, name: str, row: Any) -> list[str]:
        lines: list[str] = []
        if isinstance(getattr(row, "enum", None), Mapping):
            lines += self._enum(name, row.enum)
        if isinstance(getattr(row, "flags", None), Mapping):
            lines += self._flags(name, row.flags)
        return lines

    def _all_constants(self, node: Any, place: str, constants: list[str]) -> None:
        """Names are worth having even where no struct can be made."""
        for _title, nodes in children(node):
            for inner in nodes:
                if isinstance(inner, Value):
                    constants += self._names(inner, self.product.origins.row(inner), place)
                self._all_constants(inner, place, constants)


def _fixed_items(node: layout.Repeat) -> bool:
    return node.item_prefix is None and node.size is None and layout.fixed_size(node.nodes) is not None


def _why(node: Any) -> str:
    name = getattr(node, "name", "")
    subject = f"`{name}` " if name else ""
    match node:
        case layout.Condition():
            names = [word for found in layout.walk(node.nodes) if (word := getattr(found, "name", ""))]
            return f"{f'`{names[0]}`' if names else 'a row'} is there only if {node.test.text}"
        case layout.Branch():
            return f"a switch on `{node.on.text}`"
        case layout.Tags():
            return "a tag list"
        case layout.Repeat():
            return f"{subject}is a list of changing size"
        case layout.Skip() | layout.Value() | layout.Group():
            return f"{subject or 'a row '}has no fixed size"
    return f"{subject}is a {type(node).__name__.lower()}"


def _joined(note: str, wire: IntWire) -> str:
    return "; ".join(part for part in ("sign and magnitude" if wire.sign == "magnitude" else "", note) if part)
