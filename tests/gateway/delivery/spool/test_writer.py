from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.spool.blocks import (
    BLOCK_BYTES,
    BLOCK_HEADER_BYTES,
    MAX_TARGET_SETS,
    body_is_whole,
    encode_record,
    encode_state,
    read_block_header,
    read_records,
    read_states,
)
from gateway.delivery.spool.values import Batch, Stored
from gateway.delivery.spool.writer import build_blocks
from gateway.domain.record import Record

MAIN = ("main",)
TARGETS = st.sampled_from([MAIN, ("alerts",), ("main", "alerts")])
PUTS = st.lists(
    st.tuples(st.lists(TARGETS, max_size=3), st.integers(0, 2), st.sampled_from([10, BLOCK_BYTES // 3])), max_size=6
)


def batch_of(puts: list[tuple[list[tuple[str, ...]], int, int]]) -> tuple[Batch, list[Record]]:
    """Of each put: targets of its records, number of states, length of the bodies."""
    batch = Batch()
    records: list[Record] = []
    for targets, states, length in puts:
        for names in targets:
            records.append(Record(f"r{len(records)}", "telemetry", "p", "lane", bytes(length), 7))
            batch.entries.append(encode_record(records[-1]))
            batch.targets.append(names)
        for _ in range(states):
            batch.states.append((len(records), encode_state(1, b"%d" % len(batch.states))))
    batch.size = sum(map(len, batch.entries)) + sum(len(entry) for _, entry in batch.states)
    return batch, records


def parse(data: bytes) -> list[tuple[list[Stored], list[bytes]]]:
    """Records and states of each block."""
    blocks = []
    while data:
        header = read_block_header(data)
        assert header is not None
        body = data[BLOCK_HEADER_BYTES : BLOCK_HEADER_BYTES + header.length]
        assert body_is_whole(header, body)
        blocks.append((read_records(header, body), [payload for _, payload in read_states(header, body)]))
        data = data[BLOCK_HEADER_BYTES + header.length :]
    return blocks


@given(PUTS)
def test_everything_is_there_in_order_and_no_state_stands_before_its_records(
    puts: list[tuple[list[tuple[str, ...]], int, int]],
) -> None:
    batch, records = batch_of(puts)
    blocks = parse(build_blocks(batch, 5))
    stored = [item for found, _ in blocks for item in found]
    assert stored == [Stored(5 + n, record, batch.targets[n]) for n, record in enumerate(records)]
    assert [payload for _, payloads in blocks for payload in payloads] == [b"%d" % n for n in range(len(batch.states))]
    ends = accumulate(len(found) for found, _ in blocks)
    states = iter(batch.states)
    for end, (_, payloads) in zip(ends, blocks, strict=True):
        assert all(next(states)[0] <= end for _ in payloads)


@pytest.mark.parametrize("targets", [[MAIN], [MAIN, ("alerts",)]], ids=["alike", "mixed"])
def test_a_block_is_closed_when_it_is_full(targets: list[tuple[str, ...]]) -> None:
    batch, _ = batch_of([(targets, 0, BLOCK_BYTES // 3)] * 5)
    blocks = parse(build_blocks(batch, 1))
    assert {len(found) for found, _ in blocks[:-1]} == {3}


def test_more_sets_of_targets_than_a_block_holds_make_another_block() -> None:
    batch, _ = batch_of([([(f"sink-{n}",)], 1, 10) for n in range(MAX_TARGET_SETS + 1)])
    blocks = parse(build_blocks(batch, 1))
    assert [len(found) for found, _ in blocks] == [MAX_TARGET_SETS, 1]
    assert [len(states) for _, states in blocks] == [MAX_TARGET_SETS, 1]
