from __future__ import annotations

import pytest

from decoders.errors import SpecError
from tests.decoders.specs import read, rows

WORDS = ["from", "class", "is", "lambda", "not", "and", "or", "if", "else", "in", "'None'", "'True'", "'False'", "with"]


@pytest.mark.parametrize("word", WORDS)
def test_such_a_name_is_one_like_others_where_no_formula_reads_it(word: str) -> None:
    name = word.strip("'")
    formula = "1 if a in (1, 2) else 0"
    compiled = rows(f"[{{name: {word}, type: u8}}, {{name: a, type: u8}}, {{name: b, formula: '{formula}'}}]")
    assert read(compiled, "0502") == {name: 5, "a": 2, "b": 1}
    bits = f"{{name: w, type: u8, bits: {{{word}: 0-3}}}}"
    compiled = rows(f"[{bits}, {{list: l, fields: [{{name: {word}, type: u8}}]}}]")
    assert read(compiled, "0502") == {name: 5, "l": [{name: 2}]}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("reads", ["{name: b, formula: 'hex(%s, 4)'}", "{name: b, type: u8, if: '%s == 3'}"])
def test_a_formula_cannot_read_it(word: str, reads: str) -> None:
    name = word.strip("'")
    for row in (f"{{name: {word}, type: u8}}", f"{{name: w, type: u8, bits: {{{word}: 0-3}}}}"):
        with pytest.raises(SpecError, match=f"`{name}` is a word of formulas") as caught:
            rows(f"[{row}, {reads % name}]")
        assert ".fields[0]." in caught.value.problems[0].path
        assert f"such as `{name.lower()}_`" in caught.value.problems[0].hint
