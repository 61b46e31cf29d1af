"""Optional rows: absent only where no byte is left, by both codecs alike."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from decoders.prove import prove
from tests.decoders.specs import golden, read, rows

ROWS = "[{name: a, type: u8}, {name: b, type: u24, optional: true}, {name: g, type: u8}]"
GROUP = "[{name: a, type: u8}, {group: b, optional: true, fields: [{name: c, type: u16}, {name: d, type: u8}]}]"


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("01", {"a": 1}),
        ("01000002", {"a": 1, "b": 2}),
        ("0100000203", {"a": 1, "b": 2, "g": 3}),
    ],
)
def test_what_is_left_belongs_to_the_first_of_them(data: str, values: dict[str, int]) -> None:
    assert read(rows(ROWS), data) == values


@pytest.mark.parametrize(("spec", "data"), [(ROWS, "0101"), (ROWS, "010102"), (GROUP, "0101"), (GROUP, "010102")])
def test_a_row_that_is_cut_off_leaves_its_bytes_to_no_smaller_one(spec: str, data: str) -> None:
    with pytest.raises(DecodeError, match="truncated"):
        read(rows(spec), data)


@pytest.mark.parametrize("spec", [ROWS, GROUP])
def test_both_codecs_agree_on_optional_rows(spec: str) -> None:
    (proof,) = prove(rows(spec), [golden("0100000203"[: 10 if spec is ROWS else 8], message="sample")]).kinds
    assert (proof.disagreement, proof.others) == ("", {})
