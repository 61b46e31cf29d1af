"""A reply's layout -> one generated function that builds its bytes: the fast twin of `decoders.encode`.

Fields come from a plan of sources (constant, echo of the request, formula). Layouts with lists, branches or
lengths that are not known beforehand stay with the reference encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from decoders.convert import Convert
from decoders.formula import Formula
from decoders.framing.escape import stuff
from decoders.framing.plan import Transcoding
from decoders.fused.formulas import over_integers
from decoders.fused.refusal import Unsupported
from decoders.inverse import to_raw
from decoders.layout import (
    BytesWire,
    Condition,
    Counts,
    Derived,
    Group,
    IntWire,
    MessageLayout,
    Nodes,
    Skip,
    Value,
    fixed_size,
)
from decoders.raw import bcd_bytes, write_form
from decoders.reference.codec import FrameLayout
from decoders.source_writer import SourceWriter
from decoders.times import Zone

ZONE_OF_SESSION = "@zone"
"""Name under which the values of a request hold the session's zone, where it has one: no name of a value."""
Build = Callable[[Mapping[str, Any]], bytes]


@dataclass(slots=True, frozen=True)
class Source:
    """Where a field of a reply gets its value: exactly one of raw constant, echoed value, formula over values."""

    constant: Any = None
    echo: str = ""
    formula: Formula | None = None


class _EncoderWriter:
    def __init__(self, frame: FrameLayout, message: MessageLayout, sources: Mapping[str, Source], zone: Zone) -> None:
        self.frame = frame
        self.zone = zone
        self.message = message
        self.sources = sources
        self.namespace: dict[str, Any] = {
            "__builtins__": {"int": int, "bytes": bytes, "len": len, "ValueError": ValueError},
            "write_form": write_form,
            "bcd_bytes": bcd_bytes,
            "to_raw": to_raw,
            "there": _there,
            "stuff": stuff,
        }
        self.out = SourceWriter(self.namespace)
        self.raw: dict[str, str] = {}
        self.body_size = fixed_size(message.body)

    def write(self, escape: Transcoding | None) -> str:
        self.out.emit("data = b''")
        self._nodes((*self.message.header, *self.message.body))
        self._trailer()
        self.out.emit("return data" if escape is None else f"return stuff({self.out.bind(escape)}, data)")
        return "\n".join(["def build(v):", *self.out.lines]) + "\n"

    def _nodes(self, nodes: Nodes) -> None:
        run: list[tuple[str, str]] = []
        order = ""
        for node in nodes:
            if isinstance(node, Value) and (node.negate is not None or node.place is not None):
                raise Unsupported(f"`{node.name}`, whose value depends on others")
            if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.wire.size in (1, 2, 4, 8):
                wanted = ">" if node.wire.big else "<"
                if order and wanted != order:
                    self._flush(run, order)
                    run = []
                order = wanted
                code = {1: "B", 2: "H", 4: "I", 8: "Q"}[node.wire.size]
                if node.wire.sign == "magnitude":
                    raise Unsupported("sign and magnitude")
                run.append((code.lower() if node.wire.sign == "twos" else code, self._integer(node)))
                continue
            self._flush(run, order)
            run, order = [], ""
            self._other(node)
        self._flush(run, order)

    def _flush(self, run: list[tuple[str, str]], order: str) -> None:
        if not run:
            return
        pattern = order + "".join(code for code, _ in run)
        self.out.emit(f"data += {self.out.pack(pattern)}({', '.join(source for _, source in run)})")

    def _other(self, node: Any) -> None:
        match node:
            case Value(wire=BytesWire()):
                self._bytes(node)
            case Condition(test=test, nodes=nodes):
                if any(name not in self.raw for name in test.names):
                    raise Unsupported("a condition on what is not known")
                with self.out.block(f"if {self._formula(test, self.raw, raw=True)}:"):
                    self._nodes(nodes)
            case Skip(size=int(size)):
                self.out.emit(f"data += {bytes(size)!r}")
            case Group(name="", size=None, encoded="", nodes=nodes):
                self._nodes(nodes)
            case Derived(name=name) if name not in self.sources:
                pass
            case _:
                raise Unsupported(f"{type(node).__name__} in a reply")

    def _value(self, name: str, convert: Convert) -> str:
        """Source of a field's raw value."""
        source = self.sources.get(name)
        if source is None:
            raise Unsupported(f"`{name}` has no source")
        if source.formula is not None:
            text = self._formula(source.formula, {word: f"v.get({word!r})" for word in source.formula.names})
        elif source.echo:
            text = f"v[{source.echo!r}]"
        else:
            return repr(source.constant)
        if convert.plain:
            return text
        text = f"there({text})"
        if convert == Convert(boolean=True):
            return f"(1 if {text} else 0)"
        zone = f"v.get({ZONE_OF_SESSION!r}, {self.out.bind(self.zone)})" if convert.uses_zone else "0"
        return f"to_raw({name!r}, {self.out.bind(convert)}, {text}, {zone})"

    def _formula(self, formula: Formula, sources: Mapping[str, str], *, raw: bool = False) -> str:
        """What only puts integers together stands in the code as it is: where it raises, the reference encoder takes
        over. raw: the formula is over raw values."""
        expression = over_integers(formula, sources)
        if expression:
            return expression
        arguments = ", ".join(sources[name] for name in formula.names)
        return f"{self.out.bind(formula.raw_function if raw else formula.function)}({arguments})"

    def _integer(self, node: Value) -> str:
        if node.const is not None:
            return repr(node.const)
        if node.counts is not None:
            return str(self._counted(node.counts))
        if node.equals in self.raw:
            return self.raw[node.equals]
        if node.bits:
            base = self.sources.get(node.name)
            whole = base.constant if base is not None and isinstance(base.constant, int) else 0
            parts = [str(whole & ~sum(((1 << bit.width) - 1) << bit.at for bit in node.bits))]
            for bit in node.bits:
                if bit.parts or bit.bcd or bit.place is not None:
                    raise Unsupported("bits that are not an integer")
                if bit.const is not None:
                    text = repr(bit.const)
                elif bit.counts is not None:
                    text = str(self._counted(bit.counts))
                else:
                    text = f"int({self._value(bit.name, bit.convert)})"
                self.raw[bit.name] = self._keep(bit.name, text)
                parts.append(f"({self.raw[bit.name]} & {(1 << bit.width) - 1}) << {bit.at}")
            return " | ".join(parts)
        self.raw[node.name] = self._keep(node.name, self._value(node.name, node.convert))
        return self.raw[node.name]

    def _keep(self, name: str, text: str) -> str:
        variable = self.out.fresh(name)
        self.out.emit(f"{variable} = {text}")
        return variable

    def _counted(self, counts: Counts) -> int:
        if self.body_size is None:
            raise Unsupported("a length that depends on values")
        if counts.span is None:
            return self.body_size - counts.adjust
        header = fixed_size(self.message.header)
        if header is None:
            raise Unsupported("a length that depends on values")
        total = header + self.body_size + self.message.trailer_size
        units, rest = divmod(total - counts.span.start - counts.span.tail - counts.adjust, counts.unit)
        if rest:
            raise Unsupported("a length that is no whole number")
        return units

    def _bytes(self, node: Value) -> None:
        assert isinstance(node.wire, BytesWire)
        if node.counts is not None:
            raise Unsupported("a length in digits")
        if node.const is not None:
            if node.wire.form != "hex":
                raise Unsupported("a constant that is no hex text")
            self.out.emit(f"data += {bytes.fromhex(str(node.const))!r}")
            return
        size: str
        if isinstance(node.wire.size, int):
            size = str(node.wire.size)
        elif isinstance(node.wire.size, Formula) and all(name in self.raw for name in node.wire.size.names):
            size = self._formula(node.wire.size, self.raw, raw=True)
        else:
            raise Unsupported("bytes of a size that is not known")
        value = self._keep(node.name, f"there({self._value(node.name, node.convert)})")
        self.raw[node.name] = value
        if node.wire.form == "bcd":
            self.out.emit(f"if len({value}) > {size} * 2: raise ValueError")
            self.out.emit(f"data += bcd_bytes({value}, {size})")
        else:
            self.out.emit(f"data += write_form({value}, {self.out.bind(node.wire)}, {size}, {node.name!r})")

    def _trailer(self) -> None:
        """Trailer fields in order; a check value covers what stands before it."""
        places = {place.name: place for place in self.frame.checks if place.from_end}
        if len(places) != len(self.frame.checks_of(self.message.message)):
            raise Unsupported("a check value in front of the trailer")
        plain: list[Any] = []
        for node in self.message.trailer:
            place = places.get(node.name) if isinstance(node, Value) else None
            if place is None:
                plain.append(node)
                continue
            self._nodes(tuple(plain))
            plain = []
            if place.span.tail != place.offset or place.span.start < 0:
                raise Unsupported("a check value that covers what stands behind it")
            if not isinstance(place.wire, IntWire) or place.algorithm.bits > 8 * place.wire.size:
                raise Unsupported("a check value in digits")
            order = "big" if place.wire.big else "little"
            self.out.emit(
                f"data += {self.out.bind(place.algorithm.function)}(data[{place.span.start}:])"
                f".to_bytes({place.wire.size}, {order!r})"
            )
        self._nodes(tuple(plain))


def _there(value: Any) -> Any:
    """Raises ValueError where there is no value."""
    if value is None:
        raise ValueError("no value")
    return value


def fused_encoder(
    frame: FrameLayout,
    message: MessageLayout,
    sources: Mapping[str, Source],
    escape: Transcoding | None,
    zone: Zone = 0,
) -> Build:
    """`values -> wire bytes`. zone: of local clocks, where the values hold none under ZONE_OF_SESSION. Raises
    Unsupported now; what it makes raises KeyError, EncodeError or struct.error."""
    if message.text:
        raise Unsupported("values that are parted by marks")
    writer = _EncoderWriter(frame, message, sources, zone)
    source = writer.write(escape)
    exec(compile(source, f"<encode {message.message}>", "exec"), writer.namespace)  # noqa: S102 - generated above
    build: Build = writer.namespace["build"]
    return build
