"""Kinds of frames that begin alike and end differently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import DecodeError
from decoders.framing.framer import Framer, cut
from decoders.framing.plan import Framing
from tests.decoders.specs import product

TELEGRAMS = """
frames:
  checked: {format: text, start: "/", stop: "\\r\\n", trailer: [{literal: "!"}, {name: check, bytes: 4}]}
  plain: {format: text, start: "/", stop: "!\\r\\n"}
  short: {format: text, start: "/", stop: "*"}
messages: {telegram: {fields: [{name: all, bytes: rest}]}}
"""
OLD, NEW, SHORT = b"/abc\r\nd\r\n!\r\n", b"/abc\r\nd\r\n!12AB\r\n", b"/ab*"


@pytest.fixture(scope="module")
def framing() -> Framing:
    return product(TELEGRAMS).framing


def kinds(framing: Framing, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    framer = Framer(framing)
    return [(frame.kind.name, frame.wire) for piece in pieces for frame in framer.receive(piece)]


@pytest.mark.parametrize(("wire", "kind"), [(OLD, "plain"), (NEW, "checked"), (SHORT, "short")])
def test_the_end_says_the_kind(framing: Framing, wire: bytes, kind: str) -> None:
    assert cut(framing, wire).kind.name == kind
    assert kinds(framing, [wire]) == [(kind, wire)]


@given(st.lists(st.sampled_from([OLD, NEW, SHORT]), min_size=1, max_size=6), st.data())
def test_in_a_stream_however_it_is_split(sent: list[bytes], data: st.DataObject) -> None:
    names = {OLD: "plain", NEW: "checked", SHORT: "short"}
    stream = b"".join(sent)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)], strict=True)]
    assert kinds(product(TELEGRAMS).framing, pieces) == [(names[wire], wire) for wire in sent]


def test_none_has_ended(framing: Framing) -> None:
    with pytest.raises(DecodeError, match="truncated"):
        cut(framing, b"/abc\r\nd")
