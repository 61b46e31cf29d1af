"""The header of a changing size, read before it is known which message the frame is."""

from __future__ import annotations

from dataclasses import replace

from decoders.convert import PLAIN
from decoders.fused.nodes import write_nodes
from decoders.fused.refusal import Unsupported
from decoders.fused.scope import Structure, names_of
from decoders.fused.writer import Place, Writer
from decoders.layout import Branch, Condition, Group, Nodes, Value, least_size, open_ended
from decoders.reference.codec import FrameLayout
from decoders.source_writer import SourceWriter


def read_header(out: SourceWriter, layout: FrameLayout, wanted: set[str]) -> tuple[dict[str, str], str]:
    """Writes code that reads the header; gives the sources of the wanted raw values that it has, of `length` unless
    that is wanted as a row, and of the body's start. Raises Unsupported."""
    nodes = _bare(layout.header)
    names = names_of(nodes)
    names.raw |= wanted
    writer, scope = Writer(out, names, write_nodes), Structure()
    writer.open_ended, writer.valueless = open_ended(layout.header), True
    out.emit(f"e = n - {layout.trailer_size}" if layout.trailer_size else "e = n")
    writer.place = Place("", 0, "e", least_size(layout.header))
    writer.write(nodes, scope)
    found = {name: known.source for name in sorted(wanted) if (known := scope.raw.get(name)) is not None}
    start = out.fresh("o")
    out.emit(f"{start} = {writer.position}")
    if "length" not in wanted:
        found["length"] = f"(e - {start} if {start} < e else 0)"
    return found, start


def _bare(nodes: Nodes) -> Nodes:
    """The same nodes without values: only what they read is asked for."""
    found = []
    for node in nodes:
        match node:
            case Value():
                bits = tuple(replace(bit, hidden=True, convert=PLAIN, status=None, place=None) for bit in node.bits)
                node = replace(
                    node, hidden=True, convert=PLAIN, bits=bits, negate=None, check=None, status=None, place=None
                )
            case Condition(nodes=inner) | Group(nodes=inner):
                node = replace(node, nodes=_bare(inner))
            case Branch(cases=cases, default=default):
                bare = tuple((spans, _bare(rows)) for spans, rows in cases)
                node = replace(node, cases=bare, default=None if default is None else _bare(default))
            case _:
                if hasattr(node, "nodes") or hasattr(node, "tags"):
                    raise Unsupported("a list in a header, before `when` is decided")
        found.append(node)
    return tuple(found)
