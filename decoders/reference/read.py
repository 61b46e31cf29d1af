"""Layout -> functions that read a window into a raw tree and build bytes from one."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from decoders.layout import Node
from decoders.reference import lists  # noqa: F401 - adds its parts
from decoders.reference.raw_tree import Scope, Trace, Window
from decoders.reference.rows import Rows

ReadRows = Callable[[Window, Scope, list[Trace] | None], None]


def reader(nodes: Sequence[Node]) -> ReadRows:
    """`(window, scope, trace) -> None`: reads the nodes into the scope. Raises DecodeError."""
    rows = Rows(tuple(nodes))

    def read(window: Window, scope: Scope, trace: list[Trace] | None) -> None:
        rows._parse(window, {"scope": scope, "trace": trace}, "")

    return read


def builder(nodes: Sequence[Node]) -> Callable[[Scope], bytes]:
    """`scope -> bytes`: builds the nodes from raw values in the scope. Raises EncodeError."""
    rows = Rows(tuple(nodes))

    def build(scope: Scope) -> bytes:
        stream = io.BytesIO()
        rows._build(None, stream, {"scope": scope, "trace": None}, "")
        return stream.getvalue()

    return build
