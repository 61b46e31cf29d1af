"""Wire forms -> struct codes and short expressions."""

from __future__ import annotations

from decoders.fused.text_values import text_form
from decoders.fused.writer import Writer
from decoders.layout import BytesWire, FloatWire, IntWire, Skip, Value
from decoders.raw import MIXED
from decoders.text_forms import READERS

_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
SPLIT = frozenset({"HB", "hB", "Hb"})
"""struct codes of integers of three bytes: two variables, which `split_form` joins."""


def byte_order(node: Value | Skip) -> str:
    """Byte order that a node needs; "" for any."""
    if isinstance(node, Value) and isinstance(node.wire, IntWire | FloatWire) and node.wire.size in (2, 3, 4, 8):
        return ">" if node.wire.big else "<"
    return ""


def struct_code(wire: IntWire | FloatWire | BytesWire) -> tuple[str, str]:
    """struct code of a value, and what then makes the raw value out of it ("" for nothing; `{x}` is the variable)."""
    if isinstance(wire, FloatWire):
        return {2: "e", 4: "f", 8: "d"}[wire.size], ""
    if isinstance(wire, BytesWire):
        return f"{wire.size}s", byte_form(wire)
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


def split_form(wire: IntWire, first: str, second: str) -> str:
    """The value of a three-byte integer from its two parts."""
    text = f"{first} << 8 | {second}" if wire.big else f"{second} << 16 | {first}"
    return f"magnitude({text}, 3)" if wire.sign == "magnitude" else text


def byte_form(wire: BytesWire) -> str:
    """What makes the raw value out of bytes; `{x}` is their source, which may stand there twice."""
    match wire.form:
        case "hex":
            return "{x}.hex()"
        case "text" if wire.blank or wire.strip:
            return text_form(wire)
        case form if form in READERS:
            return text_form(wire)
        case "text":
            trim = ".strip('\\0 ')" if wire.trim else ""
            return f"{{x}}.decode({wire.encoding!r}, 'replace'){trim}"
        case "bcd":
            last = f"[-{wire.digits}:]" if wire.digits else ""
            return f"(t{last} if (t := {{x}}.hex()).isdigit() else bcd_text({{x}}, {wire.digits}))"
        case "mac":
            return "{x}.hex(':')"
        case form if form in MIXED:
            return f"mixed_number({{x}}, {form!r})"
        case "mbus_manufacturer":
            return "manufacturer_text({x})"
        case "uint" | "int" | "uintle" | "intle" | "bcdnumber" | "bcdnumberle":
            return f"integer_of({{x}}, {wire.form!r})"
    return ""


def read_integer(writer: Writer, wire: IntWire, hint: str = "n") -> str:
    """Reads an integer that is no value (a length, a count, a key) into a new variable."""
    writer.require(wire.size)
    out = writer.out
    variable = out.fresh(hint)
    code, form = struct_code(wire)
    order = ">" if wire.big else "<"
    if code == "B":
        out.emit(f"{variable} = b[{writer.position}]")
    elif code in SPLIT:
        high, low = out.fresh("h"), out.fresh("l")
        out.emit(f"{high}, {low} = {out.unpack(order + code)}(b, {writer.position})")
        out.emit(f"{variable} = {split_form(wire, high, low)}")
    else:
        out.emit(f"{variable}, = {out.unpack(order + code)}(b, {writer.position})")
        if form:
            out.emit(f"{variable} = {form.format(x=variable)}")
    writer.advance(wire.size)
    return variable
