"""First bytes: constants, sets, any byte; fitting, still possible, not fitting; the search for the next start."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.framing.begins import after_begins, searcher, starts
from decoders.framing.measure import NOT_THIS, Buffer, Seen

Begins = tuple[frozenset[int] | None, ...]
FITS = 1000

some_begins = st.lists(st.none() | st.frozensets(st.integers(0, 3), max_size=3), max_size=4).map(tuple)
few_values = st.lists(st.integers(0, 3) | st.just(10), max_size=12).map(bytes)


def size(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
    return FITS


def expected(begins: Begins, text: bytes) -> int:
    """The definition, first byte included: fits, may still fit with one byte more, does not fit."""
    for allowed, value in zip(begins, text, strict=False):
        if allowed is not None and value not in allowed:
            return NOT_THIS
    return FITS if len(text) >= len(begins) else -(len(text) + 1)


@given(some_begins, few_values.filter(bool), st.sampled_from([bytes, bytearray]))
def test_fits_as_the_definition_says(begins: Begins, text: bytes, buffer: type[bytes] | type[bytearray]) -> None:
    measure = after_begins(begins, size)
    for start, first in enumerate(text):
        answer = measure(buffer(text), start, len(text), {}) if first in starts(begins) else NOT_THIS
        assert answer == expected(begins, text[start:])


@given(st.lists(some_begins, max_size=3), few_values, st.sampled_from([bytes, bytearray]))
def test_search_finds_the_first_place_that_may_fit(
    kinds: Sequence[Begins], text: bytes, buffer: type[bytes] | type[bytearray]
) -> None:
    find = searcher(kinds)
    for start in range(len(text) + 1):
        places = [
            at for at in range(start, len(text)) if any(expected(begins, text[at:]) != NOT_THIS for begins in kinds)
        ]
        assert find(buffer(text), start) == (places[0] if places else len(text))


@pytest.mark.parametrize("value", range(256))
def test_every_byte_is_found_as_itself(value: int) -> None:
    text = bytes(range(256)) * 2
    following = (value + 1) % 256
    assert searcher([(frozenset({value}),)])(text, 0) == value
    assert searcher([(frozenset({value, following}),)])(text, 256) == 256 + min(value, following)
    assert searcher([(frozenset({value}), frozenset({following}))])(text, 0) == value
