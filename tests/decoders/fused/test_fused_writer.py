"""The writer's position: what is known to be there is not checked again, and branches set their variables before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decoders.convert import PLAIN
from decoders.fused.scope import Known, Names, Structure
from decoders.fused.writer import Place, Writer
from decoders.layout import IntWire, Value
from decoders.source_writer import SourceWriter


def nothing(_writer: Writer, _nodes: Sequence[Any], _scope: Structure) -> None:
    pass


def writer() -> Writer:
    return Writer(SourceWriter({}), Names(), nothing)


def lines(made: Writer) -> list[str]:
    return [line.strip() for line in made.out.lines]


def test_bytes_are_checked_once() -> None:
    made = writer()
    made.require(4)
    made.advance(3)
    made.require(1)
    made.require(2)
    assert lines(made) == ["if 4 > e: raise Refused", "if 5 > e: raise Refused"]
    made.move_to("o_1")
    made.advance(2)
    assert (made.position, made.bracket, made.at(3)) == ("o_1 + 2", "(o_1 + 2)", "o_1 + 5")
    made.know(7)
    made.require(7)
    assert len(lines(made)) == 2


def test_bytes_that_are_left() -> None:
    made = writer()
    made.place = Place("", 3, "e")
    assert made.left == "(e - 3)"
    made.enter("o_1", "o_2")
    made.remember_left("o_1", "o_2", "size_3")
    assert made.left == "size_3"
    made.advance(2)
    assert made.left == "(size_3 - 2)"
    made.move_to("o_9")
    assert made.left == "(o_2 - o_9)"


def test_variables_of_a_branch_are_set_before_the_outermost_one() -> None:
    made, scope = writer(), Structure()
    with made.branching((), scope), made.out.block("if x:"), made.branching((), scope), made.out.block("if y:"):
        made.preset("v_1", "None")
        made.out.emit("v_1 = 2")
    assert made.out.lines == ["    v_1 = None", "    if x:", "        if y:", "            v_1 = 2"]
    assert made.conditional == 0


def test_an_inner_structure_is_not_conditional() -> None:
    made, scope = writer(), Structure()
    with made.branching((), scope), made.out.block("if x:"):
        with made.unconditional(), made.branching((), Structure(scope)), made.out.block("if y:"):
            made.preset("v_1", "None")
        assert made.conditional == 1
    assert made.out.lines[1] == "        v_1 = None"


def test_a_dict_is_begun_where_a_branch_gives_many_values() -> None:
    made = writer()
    few = tuple(Value(name, IntWire(1), PLAIN) for name in "abcd")
    scope = Structure(values={"x": Known("x_1"), "y": Known("y_1", sure=False), "z": Known("z_1", hidden=True)})
    with made.branching(few, scope):
        assert scope.begun is None
    with made.branching((*few, Value("e", IntWire(1), PLAIN)), scope):
        pass
    assert scope.begun is not None
    assert list(scope.begun.early) == ["x"]
