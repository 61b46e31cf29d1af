"""Layout -> functions that read a window into a raw tree and build bytes from one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from decoders.layout import Node
from decoders.reference import lists, records, text_items  # noqa: F401 - add their parts
from decoders.reference.draft import Draft
from decoders.reference.raw_tree import Scope, Trace, Window
from decoders.reference.rows import Rows
from decoders.reference.values import Output

ReadRows = Callable[[Window, Scope, list[Trace] | None], None]
BuildRows = Callable[[Draft], bytes]


def reader(nodes: Sequence[Node]) -> ReadRows:
    """`(window, scope, trace) -> None`: reads the nodes into the scope. Raises DecodeError."""
    rows = Rows(tuple(nodes))

    def read(window: Window, scope: Scope, trace: list[Trace] | None) -> None:
        rows._parse(window, {"scope": scope, "trace": trace}, "")

    return read


def builder(nodes: Sequence[Node]) -> BuildRows:
    """`draft -> bytes`: builds the nodes once; what the draft worked out meanwhile is for the next time. Raises
    EncodeError."""
    rows = Rows(tuple(nodes))

    def build(scope: Draft) -> bytes:
        stream = scope.work.stream = Output()
        rows._build(None, stream, {"scope": scope, "trace": None}, "")
        return stream.getvalue()

    return build
