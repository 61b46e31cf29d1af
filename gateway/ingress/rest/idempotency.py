"""Idempotency-Key: a batch that is sent again under its key adds nothing twice.

Place in the walk: asked when a body is read, told of each item as its receipt settles; also the keeper of what the
spool remembers of it (`snapshot`, `restore`).

A key belongs to a client and to one request (call and body). While that is under way, the same again is a conflict;
when it is answered for good, the same answer is given again; another request under the key is an error. So the draft of
the HTTPAPI working group has it (draft-ietf-httpapi-idempotency-key-header-07).

What survives a crash is no answer, since none can be written after the last item's commit and before the client hears
of it. Each item carries a State: key, digest of the request, base of the record ids, and its index. It is durable if
and only if the item's records are. So after kill -9 the indexes that were restored are exactly the items that are kept:
when the batch comes again they are answered as accepted, under the record ids of the first time, which are base plus
index, and the others are taken now. The same way goes a batch of which some items were pending or refused for the time
being. With `ack_on: sink` an item may be forgotten by a crash between its commit and the sink's answer, if a segment
began in between: its record then comes twice, with the same record id. The state of a dead letter is written
behind it: a crash in between may keep the letter twice.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import TracebackType

from gateway.delivery.spool.positions import Positions
from gateway.domain.receipt import Outcome
from gateway.domain.state import State, StateKind
from gateway.ingress.rest.answers import Answer
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["MAX_KEY_CHARACTERS", "Claim", "IdempotencyKeys", "IdempotencyLimits", "key_of", "request_digest"]

MAX_KEY_CHARACTERS = 255
MAX_ITEMS = 1 << 32
"""Items of one batch: record ids differ in so many bits."""

_FORMAT = 1
_DIGEST_BYTES = 16
_HEAD = struct.Struct("<B16s16s16sQ")  # format, key, request, base of the ids, when it came first (Unix ms)
_RANGE = struct.Struct("<II")  # indexes of kept items: from, up to but without
_RANGES = 8_192  # in one payload of a snapshot
_ENTRY_BYTES = 600  # that one key takes in memory
_RANGE_BYTES = 80
_EXPIRED_AT_ONCE = 2  # keys forgotten for their age with each new one: a clock that jumps and comes back costs few
_RETRY_S = 1


@dataclass(slots=True, frozen=True)
class IdempotencyLimits:
    """What is remembered: keys, bytes in memory (answers and all), and for how long.

    max_answer_bytes: a longer answer is made anew, from the items that are kept.
    """

    max_keys: int = 65_536
    max_bytes: int = 64 * 1024 * 1024
    max_answer_bytes: int = 256 * 1024
    window_ms: int = 86_400_000


@dataclass(slots=True)
class _Entry:
    """What is known of one key. claim: while its request is under way. answer: once it is for good."""

    key: bytes
    request: bytes
    base: bytes
    began_ms: int
    kept: Positions = field(default_factory=lambda: Positions(0))
    claim: Claim | None = None
    answer: Answer | None = None
    size: int = _ENTRY_BYTES

    @property
    def is_empty(self) -> bool:
        return self.answer is None and not self.kept.top

    def head(self) -> bytes:
        return _HEAD.pack(_FORMAT, self.key, self.request, self.base, self.began_ms)


class Claim:
    """A request that is under way under a key. Use it as a context manager around all that can fail.

    kept: indexes of items that are durable from before. It ends when the `with` has, and every receipt is settled.
    """

    __slots__ = ("_entry", "_head", "_in_flight", "_keys", "_open")

    def __init__(self, keys: IdempotencyKeys, entry: _Entry) -> None:
        self._keys = keys
        self._entry = entry
        self._head = entry.head()
        self._in_flight = 0
        self._open = True

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._end()

    def is_kept(self, index: int) -> bool:
        """Whether this item's records are durable already: answer it as accepted, and give it to nobody."""
        return self._entry.kept.has(index)

    def uplink_id(self, index: int) -> str:
        """The id of an item's uplink: the same whenever its batch comes again."""
        base = self._entry.base
        low = (int.from_bytes(base[12:]) + index) % MAX_ITEMS
        text = f"{base[:12].hex()}{low:08x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def state(self, index: int) -> State:
        """To be put in one with the item's records (`Uplink.states`). Ask for it right before the item goes to the
        flow: the claim then waits for its receipt, which must come to `settled`."""
        self._in_flight += 1
        return State(StateKind.IDEMPOTENCY, self._head + _RANGE.pack(index, index + 1))

    def state_of_group(self, indexes: Sequence[int]) -> State:
        """The same of items that go together, in rising order."""
        self._in_flight += 1
        ranges = [_RANGE.pack(first, end) for first, end in _ranges(indexes)]
        return State(StateKind.IDEMPOTENCY, self._head + b"".join(ranges))

    def settled(self, receipt: ItemReceipt) -> None:
        """Hears of the receipt of each item, or group of them, that has a state."""
        self._in_flight -= 1
        if receipt.kept and receipt.outcome is not Outcome.DUPLICATE:
            for first, end in _ranges(receipt.group or (receipt.index,)):
                self._keys.keep(self._entry, first, end)
        self._end()

    def answered(self, answer: Answer) -> None:
        """This is the answer for good: it is given again. Only for one that is final (`BatchAnswer.final`)."""
        self._keys.keep_answer(self._entry, answer)

    def _end(self) -> None:
        if not self._open and not self._in_flight:
            self._keys.end(self._entry)


class IdempotencyKeys:
    """All keys. Implements the spool's `StateKeeper`.

    keys, bytes: remembered now. evicted: pushed out by the limits before their time.
    """

    def __init__(self, limits: IdempotencyLimits) -> None:
        self.bytes = 0
        self.evicted = 0
        self._limits = limits
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()  # the one that came first at the beginning

    @property
    def keys(self) -> int:
        return len(self._entries)

    def begin(self, client: str, key: str, request: bytes, uplink_id: str, now_ms: int) -> Claim | Answer:
        """A request under a key: a claim on it, or the answer it got before.

        client: whose key it is. request: its `request_digest`. uplink_id: a new UUIDv7, base of the ids of its items.
        now_ms: Unix time. Raises Problem: 409 while the same request is under way, 422 for another request, 503 when
        all that is remembered is under way.
        """
        digest = blake2b(key.encode(), key=_scope(client), digest_size=_DIGEST_BYTES).digest()
        entry = self._entries.get(digest)
        if entry is not None and entry.claim is None and self._is_expired(entry, now_ms):
            self._drop(entry)
            entry = None
        if entry is None:
            self._make_room(now_ms)
            entry = _Entry(digest, request, bytes.fromhex(uplink_id.replace("-", "")), max(now_ms, 0))
            self._add(entry)
        elif entry.request != request:
            detail = "this Idempotency-Key was used with another request: a new request needs a new key"
            raise Problem(422, ProblemCode.KEY_REUSED, detail)
        elif entry.claim is not None:
            detail = "the request with this Idempotency-Key is under way: ask again when it has ended"
            raise Problem(409, ProblemCode.KEY_IN_PROGRESS, detail, retry_after_s=_RETRY_S)
        elif entry.answer is not None:
            return entry.answer
        claim = entry.claim = Claim(self, entry)
        return claim

    # What claims tell.

    def keep(self, entry: _Entry, first: int, end: int) -> None:
        """The records of these items are durable."""
        before = entry.kept.range_count
        entry.kept.add_range(first, end)
        self._resize(entry, (entry.kept.range_count - before) * _RANGE_BYTES)

    def keep_answer(self, entry: _Entry, answer: Answer) -> None:
        if len(answer.body) <= self._limits.max_answer_bytes:
            entry.answer = answer
            self._resize(entry, len(answer.body))

    def end(self, entry: _Entry) -> None:
        """Its request is not under way any more."""
        entry.claim = None
        if entry.is_empty:
            self._drop(entry)
        else:
            self._evict()

    # What survives a restart.

    def snapshot(self) -> Iterator[bytes]:
        """Every item that is kept; what is only under way is not in it."""
        for entry in self._entries.values():
            kept = entry.kept
            ranges = [(0, kept.low)] if kept.low else []
            ranges += kept.ranges
            head = entry.head()
            for start in range(0, len(ranges), _RANGES):
                yield head + b"".join([_RANGE.pack(*pair) for pair in ranges[start : start + _RANGES]])

    def restore(self, payload: bytes) -> None:
        """Takes up a payload of `snapshot` or of an item's state. Of another version: nothing of it."""
        if payload[:1] != bytes([_FORMAT]):
            return
        _, key, request, base, began_ms = _HEAD.unpack_from(payload)
        entry = self._entries.get(key)
        if entry is not None and (entry.request, entry.base) != (request, base):
            self._drop(entry)  # the key was used anew, after its time
            entry = None
        if entry is None:
            entry = _Entry(key, request, base, began_ms)
            self._add(entry)
        for first, end in _RANGE.iter_unpack(payload[_HEAD.size :]):
            self.keep(entry, first, end)
        self._evict()

    # Bounds.

    def _is_expired(self, entry: _Entry, now_ms: int) -> bool:
        return abs(now_ms - entry.began_ms) > self._limits.window_ms

    def _make_room(self, now_ms: int) -> None:
        """For one more. Raises Problem(503)."""
        for _ in range(_EXPIRED_AT_ONCE):
            oldest = next(iter(self._entries.values()), None)
            if oldest is None or oldest.claim is not None or not self._is_expired(oldest, now_ms):
                break
            self._drop(oldest)
        self._evict(1)
        limits = self._limits
        if len(self._entries) >= limits.max_keys:
            limit = Limit("idempotency.max_keys", limits.max_keys)
            detail = "too many requests with an Idempotency-Key are under way"
            raise Problem(503, ProblemCode.TOO_MANY_KEYS, detail, limit=limit, retry_after_s=_RETRY_S)

    def _evict(self, more: int = 0) -> None:
        """Forgets the oldest that are not under way until the rest, and `more` new ones, are within the limits."""
        limits = self._limits
        while self._entries and (
            len(self._entries) + more > limits.max_keys or self.bytes + more * _ENTRY_BYTES > limits.max_bytes
        ):
            oldest = next((entry for entry in self._entries.values() if entry.claim is None), None)
            if oldest is None:
                return
            self._drop(oldest)
            self.evicted += 1

    def _add(self, entry: _Entry) -> None:
        self._entries[entry.key] = entry
        self.bytes += entry.size

    def _drop(self, entry: _Entry) -> None:
        if self._entries.pop(entry.key, None) is not None:
            self.bytes -= entry.size

    def _resize(self, entry: _Entry, more: int) -> None:
        entry.size += more
        self.bytes += more


def _ranges(indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as first ones and ends of what follows without a gap."""
    first = end = indexes[0]
    for index in indexes:
        if index != end:
            yield first, end
            first = index
        end = index + 1
    yield first, end


def key_of(header: str) -> str:
    """The value of an Idempotency-Key header: 1-255 printable ASCII characters. Quotes around it (a string of RFC 9651)
    are taken off. Raises Problem(400)."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        detail = f"an Idempotency-Key is 1-{MAX_KEY_CHARACTERS} printable ASCII characters"
        raise Problem(400, ProblemCode.BAD_KEY, detail)
    return key


def request_digest(call: str, body: bytes) -> bytes:
    """What a key stands for. call: method, path, query and type of the body, as one text; body: out of its encoding,
    since packing it again may give other bytes."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    text = call.encode("utf-8", "surrogateescape")
    digest.update(len(text).to_bytes(8))
    digest.update(text)
    digest.update(body)
    return digest.digest()


def _scope(client: str) -> bytes:
    return blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest()
