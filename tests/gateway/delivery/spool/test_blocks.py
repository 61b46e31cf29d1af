from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.spool.blocks import (
    BLOCK_BYTES,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    FORMAT_VERSION,
    MAX_RECORD_BYTES,
    MAX_STATE_BYTES,
    MAX_TARGET_SETS,
    SEGMENT_HEADER_BYTES,
    BlockDraft,
    BlockHeader,
    Damaged,
    Flag,
    blocks_of_states,
    body_is_whole,
    encode_record,
    encode_state,
    read_block_header,
    read_records,
    read_segment_header,
    read_states,
    segment_header,
    split_records,
)
from gateway.delivery.spool.values import Stored
from gateway.domain.record import Record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
records = st.builds(Record, texts, texts, texts, texts, st.binary(max_size=60), st.integers(-(2**63), 2**63 - 1))
target_sets = st.lists(texts, max_size=3).map(tuple)
entries = st.lists(st.tuples(records, target_sets), max_size=8)
states = st.lists(st.tuples(st.integers(0, 65_535), st.binary(max_size=30)), max_size=4)


def parse(data: bytes) -> tuple[BlockHeader, bytes]:
    header = read_block_header(data)
    assert header is not None
    body = data[BLOCK_HEADER_BYTES:]
    assert body_is_whole(header, body)
    return header, body


@given(st.integers(0, 2**62), entries, states)
def test_a_block_gives_back_what_went_in(
    base: int, items: list[tuple[Record, tuple[str, ...]]], kept: list[tuple[int, bytes]]
) -> None:
    draft = BlockDraft(base)
    for item, targets in items:
        assert draft.add_record(encode_record(item), targets)
    for kind, payload in kept:
        draft.add_state(encode_state(kind, payload))
    header, body = parse(draft.finish())
    assert (header.base, header.end, header.records) == (base, base + len(items), len(items))
    assert read_records(header, body) == [Stored(base + i, item, targets) for i, (item, targets) in enumerate(items)]
    assert read_states(header, body) == kept
    assert read_records(header, body, base + 2) == read_records(header, body)[2:]


@given(st.integers(0, 2**62), entries.filter(len), st.data())
def test_a_sparse_block_keeps_its_sequences(
    base: int, items: list[tuple[Record, tuple[str, ...]]], data: st.DataObject
) -> None:
    steps = data.draw(st.lists(st.integers(1, 1000), min_size=len(items), max_size=len(items)))
    sequences = [base + sum(steps[: i + 1]) for i in range(len(items))]
    dense, sparse = BlockDraft(base), BlockDraft(base)
    for item, targets in items:
        dense.add_record(encode_record(item), targets)
    split = split_records(*parse(dense.finish()))
    for (_, targets, entry), sequence in zip(split, sequences, strict=True):
        assert sparse.add_sparse(sequence, entry, targets)
    header, body = parse(sparse.finish(end=sequences[-1] + 7))
    assert header.end == sequences[-1] + 7
    expected = [Stored(s, item, targets) for s, (item, targets) in zip(sequences, items, strict=True)]
    assert read_records(header, body) == expected


@given(entries.filter(len), st.data())
def test_one_changed_byte_is_always_seen(items: list[tuple[Record, tuple[str, ...]]], data: st.DataObject) -> None:
    draft = BlockDraft(7)
    for item, targets in items:
        draft.add_record(encode_record(item), targets)
    block = bytearray(draft.finish())
    block[data.draw(st.integers(0, len(block) - 1))] ^= data.draw(st.integers(1, 255))
    header = read_block_header(bytes(block))
    assert header is None or not body_is_whole(header, bytes(block[BLOCK_HEADER_BYTES:]))


@given(st.binary(max_size=120), st.integers(0, 3), st.integers(0, 20), st.integers(0, 3), st.integers(0, 7))
def test_a_body_that_is_nonsense_under_a_right_crc_is_damaged(
    body: bytes, sets: int, count: int, kept: int, flags: int
) -> None:
    header = BlockHeader(flags, sets, count, kept, count, len(body), 5, 0)
    for read in (read_records, split_records, read_states):
        try:
            found = read(header, body)
        except Damaged:
            continue
        assert len(found) <= max(count, kept)


@given(st.binary(max_size=80))
def test_any_bytes_can_be_asked_for_headers(data: bytes) -> None:
    assert read_block_header(data) is None
    assert read_segment_header(data) is None


def test_no_json_looks_like_a_block() -> None:
    with pytest.raises(UnicodeDecodeError):
        BLOCK_MAGIC.decode()


def test_the_header_of_a_segment() -> None:
    data = segment_header(17, 40)
    assert len(data) == SEGMENT_HEADER_BYTES
    header = read_segment_header(data + b"more")
    assert header is not None
    assert (header.version, header.first, header.end) == (FORMAT_VERSION, 17, 40)
    newer = read_segment_header(segment_header(1, 0, FORMAT_VERSION + 1))
    assert newer is not None
    assert newer.version == FORMAT_VERSION + 1
    assert read_segment_header(data[:-1]) is None


def test_a_block_takes_so_many_sets_of_targets() -> None:
    draft = BlockDraft(1)
    entry = encode_record(Record("i", "t", "p", "l", b"{}", 0))
    assert all(draft.add_record(entry, (f"sink-{n}",)) for n in range(MAX_TARGET_SETS))
    assert not draft.add_record(entry, ("one more",))
    assert draft.add_record(entry, ("sink-3",))
    assert len(read_records(*parse(draft.finish()))) == MAX_TARGET_SETS + 1


@pytest.mark.parametrize(
    "bad",
    [
        Record("i", "t", "p", "l" * 70_000, b"", 0),
        Record("i", "t" * 300, "p", "l", b"", 0),
        Record("i", "t", "p", "\ud800", b"", 0),
        Record("i", "t", "p", "l", b"", 1 << 64),
        Record("i", "t", "p", "l", bytes(MAX_RECORD_BYTES + 1), 0),
    ],
    ids=["lane", "type", "surrogate", "time", "body"],
)
def test_what_no_entry_can_hold_is_said_so(bad: Record) -> None:
    with pytest.raises(ValueError):
        encode_record(bad)


def test_a_state_has_a_limit() -> None:
    encode_state(1, bytes(MAX_STATE_BYTES))
    with pytest.raises(ValueError, match="kind 1"):
        encode_state(1, bytes(MAX_STATE_BYTES + 1))


def test_many_states_make_several_blocks_and_the_last_one_says_so() -> None:
    payloads = [bytes([n]) * 1000 for n in range(256)] * 3
    blocks = list(blocks_of_states(9, ((1, payload) for payload in payloads), Flag.SNAPSHOT))
    assert len(blocks) == 2
    assert all(len(block) < BLOCK_BYTES + 2000 for block in blocks)
    parsed = [parse(block) for block in blocks]
    assert [header.flags for header, _ in parsed] == [Flag.SNAPSHOT, Flag.SNAPSHOT | Flag.SNAPSHOT_END]
    assert [payload for header, body in parsed for _, payload in read_states(header, body)] == payloads
    (empty,) = blocks_of_states(9, (), Flag.SNAPSHOT)
    assert parse(empty)[0].end == 9
