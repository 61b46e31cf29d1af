"""Tags, texts and records are found by halves; their formulas are worked out in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from decoders.fused.dispatch import by_halves
from decoders.fused.scope import Names
from decoders.fused.writer import Writer
from decoders.source_writer import SourceWriter
from tests.decoders.fused.bodies import source
from tests.decoders.specs import product, read, rows


@pytest.mark.parametrize("count", [0, 1, 3, 4, 50])
def test_a_few_numbers_are_left_to_the_leaf(count: int) -> None:
    out = SourceWriter({})
    numbers = [(3 * number, str(number)) for number in range(count)]

    def leaf(part: Sequence[tuple[int, str]]) -> None:
        assert len(part) <= 3
        out.emit(f"return {dict(part)}.get(n)")

    by_halves(Writer(out, Names(), lambda *_: None), "n", numbers, leaf)
    namespace: dict[str, object] = {}
    exec("\n".join(["def find(n):", *out.lines]), namespace)
    find = namespace["find"]
    assert callable(find)
    for number in range(-1, 3 * count + 1):
        assert find(number) == dict(numbers).get(number)


TAGS = ", ".join(f"{number}: {{name: v{number}, type: u8}}" for number in range(1, 20))


def test_many_tags_are_found() -> None:
    compiled = rows(f"[{{items: {{key: u8, length: u8, tags: {{{TAGS}}}}}}}]")
    assert read(compiled, "010105 0a0106 130107 140108") == {"v1": 5, "v10": 6, "v19": 7}
    assert source(compiled).count("if key_") > 19


def test_many_keys_of_text_are_found() -> None:
    tags = ", ".join(f"K{number}: {{name: v{number}, type: number}}" for number in range(1, 20))
    compiled = product(
        f'frame: {{format: text, until: "$", split: ";"}}\nmessages: {{m: {{items: {{tags: {{{tags}}}}}}}}}'
    )
    assert read(compiled, b"K1=5;K10=6;K19=7;K20=8$") == {"v1": 5, "v10": 6, "v19": 7}


@pytest.mark.parametrize("unknown", ["skip", "stop", "{into: io}"])
def test_what_is_kept_in_collections_is_there_when_items_are(unknown: str) -> None:
    compiled = rows(
        f"[{{items: {{key: u8, length: u8, tags: {{1: {{name: a, type: u8}}}}, on_unknown: {unknown}, raw: all}}}}]"
    )
    assert "all" not in read(compiled, "")
    assert read(compiled, "010105")["all"] == [{"id": 1, "value": "05"}]
    assert ("io" in read(compiled, "020105")) == (unknown == "{into: io}")
