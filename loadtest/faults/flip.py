"""A flipped bit in a segment, and what it takes away. Blocking."""

from __future__ import annotations

import random
from pathlib import Path

import orjson

from gateway.delivery.spool.blocks import BLOCK_HEADER_BYTES, read_records
from gateway.delivery.spool.segments import SegmentFile
from loadtest.faults.fleet import number_of


def flip_in_oldest(segments: Path, source: random.Random) -> list[tuple[str, int]]:
    """Flips one bit in the body of some block with records in the oldest segment. Device and frame number of each
    record in it."""
    path = min(segments.glob("*.seg"))
    with SegmentFile(path, path.stat().st_size) as file:
        blocks = [(offset, header) for offset, _, header in file.blocks(0) if header is not None and header.records]
        offset, header = source.choice(blocks)
        body = file.body(offset, header)
    assert body is not None, "the block was good before"
    records = [orjson.loads(stored.record.body) for stored in read_records(header, body, 0)]
    at = offset + BLOCK_HEADER_BYTES + source.randrange(header.length)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << source.randrange(8)
    path.write_bytes(data)
    return [(record["device_id"], number_of(record["device_timestamp"])) for record in records]
