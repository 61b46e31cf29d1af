"""Lines of generated code: names never become identifiers, and what code refers to is found under its name."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from decoders.source_writer import SourceWriter


@pytest.mark.parametrize("hint", ["a", "a-b.c", "'); x", "", "°C", "class", "a" * 99])
def test_variables_are_identifiers_of_their_own(hint: str) -> None:
    out = SourceWriter({})
    first, second = out.fresh(hint), out.fresh(hint)
    assert first.isidentifier()
    assert first.isascii()
    assert first != second
    assert len(first) < 30


def test_blocks_are_indented_and_never_empty() -> None:
    out = SourceWriter({})
    with out.block("if a:"):
        out.emit("b = 1")
    with out.block("else:"):
        pass
    assert out.lines == ["    if a:", "        b = 1", "    else:", "        pass"]


def test_lines_can_be_put_in_front() -> None:
    out = SourceWriter({})
    mark, level = out.mark(), out.level
    with out.block("if a:"):
        out.emit("b = 1")
        out.insert(mark, level, "b = None")
    assert out.lines == ["    b = None", "    if a:", "        b = 1"]


def test_an_object_is_bound_once() -> None:
    namespace: dict[str, Any] = {}
    out = SourceWriter(namespace)
    table = (1, 2)
    assert out.bind(table) == out.bind(table)
    assert out.bind([]) != out.bind([])
    assert namespace[out.bind(table)] is table
    assert out.bind(len).startswith("fn_")


def test_struct_methods() -> None:
    namespace: dict[str, Any] = {}
    out = SourceWriter(namespace)
    assert out.unpack(">HB") == out.unpack(">HB")
    assert len({out.unpack(">H"), out.unpack("<H"), out.pack(">H"), out.iter_unpack(">H")}) == 4
    assert namespace[out.unpack(">HB")](b"\0\1\2", 0) == (1, 2)
    assert namespace[out.pack(">H")](258) == b"\1\2"
    assert list(namespace[out.iter_unpack("<H")](struct.pack("<HH", 5, 6))) == [(5,), (6,)]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (["l.append({'a': x})"], ["    l = [{'a': x} for x in y]"]),
        (["b = x", "l.append(b)"], ["    l = []", "    for x in y:", "        b = x", "        l.append(b)"]),
        (["if x: l.append(x)"], ["    l = []", "    for x in y:", "        if x: l.append(x)"]),
    ],
)
def test_a_loop_that_only_appends_becomes_a_comprehension(body: list[str], lines: list[str]) -> None:
    out = SourceWriter({})
    out.emit("l = []")
    mark = out.mark()
    with out.block("for x in y:"):
        for line in body:
            out.emit(line)
    out.comprehend(mark, "for x in y", "l")
    assert out.lines == lines
