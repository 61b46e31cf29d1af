"""The format of a segment: a header, then blocks. Pure bytes in, bytes out.

All numbers are little-endian. A block says in its header how long it is and which sequences it covers, under a CRC of
its own, so that a reader passes a damaged body by its length and a scan at start parses next to nothing.

    segment  magic 8s, version H, flags H, first sequence Q, end sequence Q (0: not known), CRC-32 of these I
    block    magic 4s, version B, flags B, target sets H, records I, states I, span I, body length I,
             base sequence Q, CRC-32 of the body I, CRC-32 of these I
    body     target sets: names B, each length H, UTF-8
             states: kind H, length I, payload
             flag SPARSE: each record's offset to the base I; without it records are numbered from the base
             more than one target set: each record's set B
             records: kind B, characters of type B, record_id H, product H and lane H, bytes of the four texts H,
                      body length I, received_ms q; then the texts, then the body

The block covers the sequences from its base up to but without base + span. Blocks of states alone have span 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from gateway.delivery.spool.values import Stored
from gateway.domain.record import Record

FORMAT_VERSION = 1

SEGMENT_MAGIC = b"\x89IoTspl\n"
BLOCK_MAGIC = b"\xffBlk"  # 0xff never stands in UTF-8, so no JSON can look like a block
_SEGMENT = struct.Struct("<8sHHQQ")
_BLOCK = struct.Struct("<4sBBHIIIIQI")
_CRC = struct.Struct("<I")
_STATE = struct.Struct("<HI")
_RECORD = struct.Struct("<BBHHHHIq")
_pack_record = _RECORD.pack
_LENGTH = struct.Struct("<H")

SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
BLOCK_HEADER_BYTES = _BLOCK.size + _CRC.size
RECORD_OVERHEAD = _RECORD.size

BLOCK_BYTES = 512 * 1024
"""A block is closed when its body has reached this; larger is only one whose last put was larger."""
MAX_BODY_BYTES = 64 * 1024 * 1024
"""No block is larger. What claims to be is damaged."""
MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_STATE_BYTES = 1024 * 1024
MAX_TARGET_SETS = 256  # of one block: their index is a byte

_KIND_RECORD = 1


class Flag:
    """Bits of a block's flags."""

    SPARSE = 1  # offsets of the records are written out
    SNAPSHOT = 2  # its states are (part of) all states there were
    SNAPSHOT_END = 4  # the last one of these


class Damaged(Exception):
    """The bytes are not a block that this version wrote. Never leaves this package."""


class BodyTooLarge(ValueError):
    """A record's body is longer than an entry can hold."""


@dataclass(slots=True)
class SegmentHeader:
    version: int
    first: int
    end: int


@dataclass(slots=True)
class BlockHeader:
    flags: int
    target_sets: int
    records: int
    states: int
    span: int
    length: int
    base: int
    body_crc: int

    @property
    def end(self) -> int:
        """The sequence after its last one."""
        return self.base + self.span


# Writing.


def segment_header(first: int, end: int = 0, version: int = FORMAT_VERSION) -> bytes:
    head = _SEGMENT.pack(SEGMENT_MAGIC, version, 0, first, end)
    return head + _CRC.pack(crc32(head))


def encode_record(record: Record) -> bytes:
    """A record's entry. ValueError: a text or the body (BodyTooLarge) is longer than an entry can hold, or a text is
    not Unicode."""
    record_id, kind, product, lane, body = record.record_id, record.type, record.product, record.lane, record.body
    text = f"{kind}{record_id}{product}{lane}".encode()  # UnicodeEncodeError is a ValueError
    size = len(body)
    if size > MAX_RECORD_BYTES:
        raise BodyTooLarge(f"record {record_id}: the body has {size} bytes, a spool takes {MAX_RECORD_BYTES}")
    try:
        head = _pack_record(
            _KIND_RECORD, len(kind), len(record_id), len(product), len(lane), len(text), size, record.received_ms
        )
    except struct.error as error:
        raise ValueError(f"record {record_id[:64]}: its texts or its time do not fit into the spool") from error
    return head + text + body


def encode_state(kind: int, payload: bytes) -> bytes:
    if len(payload) > MAX_STATE_BYTES:
        raise ValueError(f"a state of kind {kind} has {len(payload)} bytes, a spool takes {MAX_STATE_BYTES}")
    return _STATE.pack(kind, len(payload)) + payload


@dataclass(slots=True)
class BlockDraft:
    """A block being filled. `add` until `is_full`, then `finish`.

    Entries are as `encode_record` and `encode_state` made them.
    """

    base: int
    _sets: dict[tuple[str, ...], int] = field(default_factory=dict)
    _set_of: bytearray = field(default_factory=bytearray)
    _offsets: list[int] = field(default_factory=list)  # sparse blocks only
    _records: list[bytes] = field(default_factory=list)
    _states: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes of its entries

    @property
    def is_empty(self) -> bool:
        return not self._records and not self._states

    @property
    def is_full(self) -> bool:
        return self.size >= BLOCK_BYTES

    @property
    def count(self) -> int:
        return len(self._records)

    def add_record(self, entry: bytes, targets: tuple[str, ...]) -> bool:
        """False: the block cannot hold another set of targets; close it first."""
        index = self._sets.get(targets)
        if index is None:
            index = len(self._sets)
            if index == MAX_TARGET_SETS:
                return False
            self._sets[targets] = index
        self._set_of.append(index)
        self._records.append(entry)
        self.size += len(entry)
        return True

    def add_alike(self, entries: Sequence[bytes], targets: tuple[str, ...]) -> None:
        """Fills an empty block with records that all have the same targets."""
        self._sets[targets] = 0
        self._set_of += bytes(len(entries))
        self._records += entries
        self.size += sum(map(len, entries))

    def add_sparse(self, sequence: int, entry: bytes, targets: tuple[str, ...]) -> bool:
        """As `add_record`, for a block whose sequences have gaps; all of its records are added in this way."""
        if sequence - self.base > 0xFFFFFFFF or not self.add_record(entry, targets):
            return False
        self._offsets.append(sequence - self.base)
        return True

    def add_state(self, entry: bytes) -> None:
        self._states.append(entry)
        self.size += len(entry)

    def finish(self, flags: int = 0, end: int = 0) -> bytes:
        """The block's bytes. end: for a sparse block, the sequence after the last one it stands for."""
        sets = self._sets
        parts = [_target_set(names) for names in sets]
        parts += self._states
        records = self._records
        span = len(records)
        if self._offsets:
            flags |= Flag.SPARSE
            span = max(end - self.base, self._offsets[-1] + 1)
            parts.append(struct.pack(f"<{len(records)}I", *self._offsets))
        if len(sets) > 1:
            parts.append(bytes(self._set_of))
        parts += records
        body = b"".join(parts)
        head = _BLOCK.pack(
            BLOCK_MAGIC,
            FORMAT_VERSION,
            flags,
            len(sets),
            len(records),
            len(self._states),
            span,
            len(body),
            self.base,
            crc32(body),
        )
        return head + _CRC.pack(crc32(head)) + body


def _target_set(names: tuple[str, ...]) -> bytes:
    parts = [bytes((len(names),))]
    for name in names:
        text = name.encode()
        parts.append(_LENGTH.pack(len(text)) + text)
    return b"".join(parts)


def blocks_of_states(base: int, states: Iterable[tuple[int, bytes]], flags: int) -> Iterator[bytes]:
    """Blocks of states (kind, payload) alone; the last one, which may be empty, carries SNAPSHOT_END if `flags` have
    SNAPSHOT."""
    draft = BlockDraft(base)
    for kind, payload in states:
        if draft.is_full:
            yield draft.finish(flags)
            draft = BlockDraft(base)
        draft.add_state(encode_state(kind, payload))
    yield draft.finish(flags | Flag.SNAPSHOT_END if flags & Flag.SNAPSHOT else flags)


# Reading.


def read_segment_header(data: bytes) -> SegmentHeader | None:
    """None: damaged. A newer version is given back as it stands: its CRC lies at the same place."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    magic, version, _, first, end = _SEGMENT.unpack_from(data)
    if magic != SEGMENT_MAGIC or _CRC.unpack_from(data, _SEGMENT.size)[0] != crc32(data[: _SEGMENT.size]):
        return None
    return SegmentHeader(version, first, end)


def read_block_header(data: bytes | memoryview, offset: int = 0) -> BlockHeader | None:
    """None: no header of a block stands there."""
    if len(data) - offset < BLOCK_HEADER_BYTES or data[offset : offset + 4] != BLOCK_MAGIC:
        return None
    _, version, flags, sets, records, states, span, length, base, body_crc = _BLOCK.unpack_from(data, offset)
    if _CRC.unpack_from(data, offset + _BLOCK.size)[0] != crc32(data[offset : offset + _BLOCK.size]):
        return None
    if version > FORMAT_VERSION or length > MAX_BODY_BYTES or base + span >= 1 << 63:
        return None
    return BlockHeader(flags, sets, records, states, span, length, base, body_crc)


def body_is_whole(header: BlockHeader, body: bytes | memoryview) -> bool:
    return len(body) == header.length and crc32(body) == header.body_crc


def read_states(header: BlockHeader, body: bytes) -> list[tuple[int, bytes]]:
    """Kind and payload of the block's states, in order. Damaged: the body does not hold what the header says."""
    try:
        _, offset = _read_target_sets(header, body)
        return list(_iterate_states(header, body, offset))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise Damaged(str(error)) from error


def read_records(header: BlockHeader, body: bytes, position: int = 0) -> list[Stored]:
    """The block's records from sequence `position` on. Damaged: the body does not hold what the header says."""
    found = []
    unpack, size = _RECORD.unpack_from, _RECORD.size
    try:
        for sequence, targets, start, end in _iterate_records(header, body):
            if sequence < position:
                continue
            _, type_len, id_len, product_len, lane_len, text_len, _, received_ms = unpack(body, start)
            text_start = start + size
            text_end = text_start + text_len
            text = body[text_start:text_end].decode()
            id_end = type_len + id_len
            product_end = id_end + product_len
            if len(text) != product_end + lane_len:
                raise Damaged("texts of a record")
            record = Record(
                text[type_len:id_end],
                text[:type_len],
                text[id_end:product_end],
                text[product_end:],
                body[text_end:end],
                received_ms,
            )
            found.append(Stored(sequence, record, targets))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise Damaged(str(error)) from error
    return found


def split_records(header: BlockHeader, body: bytes) -> list[tuple[int, tuple[str, ...], bytes]]:
    """Sequence, targets and entry of the block's records, as `add_sparse` takes them. Damaged: as `read_records`."""
    try:
        return [(sequence, sets, body[start:end]) for sequence, sets, start, end in _iterate_records(header, body)]
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise Damaged(str(error)) from error


def _iterate_records(header: BlockHeader, body: bytes) -> Iterator[tuple[int, tuple[str, ...], int, int]]:
    """Sequence, targets, start and end of each record's entry."""
    sets, offset = _read_target_sets(header, body)
    for _, payload in _iterate_states(header, body, offset):
        offset += _STATE.size + len(payload)
    count, base = header.records, header.base
    if count * _RECORD.size > len(body) - offset:
        raise Damaged("number of records")
    sequences: Sequence[int] = range(base, base + count)
    if header.flags & Flag.SPARSE:
        sequences = [base + distance for distance in struct.unpack_from(f"<{count}I", body, offset)]
        offset += 4 * count
    of_sets: bytes | None = None
    if len(sets) > 1:
        of_sets = body[offset : offset + count]
        offset += count
    unpack, size = _RECORD.unpack_from, _RECORD.size
    total = len(body)
    for i, sequence in enumerate(sequences):
        kind, _, _, _, _, text_len, body_len, _ = unpack(body, offset)
        end = offset + size + text_len + body_len
        if end > total or sequence >= header.end:
            raise Damaged("length or sequence of a record")
        if kind == _KIND_RECORD:
            yield sequence, sets[0 if of_sets is None else of_sets[i]], offset, end
        offset = end


def _read_target_sets(header: BlockHeader, body: bytes) -> tuple[list[tuple[str, ...]], int]:
    sets = []
    offset = 0
    for _ in range(header.target_sets):
        names = []
        count = body[offset]
        offset += 1
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(body, offset)
            offset += _LENGTH.size
            names.append(body[offset : offset + length].decode())
            offset += length
        sets.append(tuple(names))
    return sets, offset


def _iterate_states(header: BlockHeader, body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(header.states):
        kind, length = _STATE.unpack_from(body, offset)
        offset += _STATE.size
        if offset + length > len(body):
            raise Damaged("length of a state")
        yield kind, body[offset : offset + length]
        offset += length
