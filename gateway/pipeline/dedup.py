"""The third stage: is this a message that the device has sent before, since it missed the answer?

Only messages whose spec says what a copy is known by (`dedup`), or that carry a `trace_id`, are looked up: equal
readings are real. A key is reserved when it is first seen and remembered when its uplink is kept; a copy that comes in
between shares the first one's fate. What is remembered becomes durable together with the records it belongs to.

The clock of arrivals may jump. Nothing is ever forgotten because of the time: only a newer message of the same device,
or the caps over all devices, push a key out. The time decides whether an equal key still means a copy: less than the
window away, in either direction. After a jump by more than that, copies of what was under way pass as new (a repeat,
never a loss), and when the clock comes back, what was known is still known.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from decoders.plan import TRACE, DedupPlan
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State, StateKind
from gateway.domain.uplink import Uplink

__all__ = ["MAX_DEVICES", "MAX_KEYS", "Dedup", "Duplicate"]

MAX_KEYS = 262_144  # about 130 bytes each
MAX_DEVICES = 65_536  # about 700 bytes each

_HEAD = struct.Struct("<HH")  # bytes of the lane's name, keys
_ONE = struct.Struct("<QQ")
_PAYLOAD_BYTES = 65_536  # of a snapshot, before one more device is put in
_FORMAT = b"\x01"  # first byte of a payload
_MAX_PER_DEVICE = 4_096  # as a spec may say at most
_TRACED = DedupPlan((), (), traced=True)  # of what came with a `trace_id` beside its payload


@dataclass(slots=True)
class Duplicate:
    """The uplink is a copy. first: that of which it is one, if it is not settled yet; None: that was kept."""

    first: Receipt | None


class Dedup:
    """Remembers which messages were kept. Also the keeper of their states (`snapshot`, `restore`).

    keys: remembered now. evicted: pushed out by the caps over all devices while a copy could still have come.
    """

    def __init__(self, *, max_keys: int = MAX_KEYS, max_devices: int = MAX_DEVICES) -> None:
        self.keys = 0
        self.evicted = 0
        self._max_keys = max_keys
        self._max_devices = max_devices
        # By lane, the device that was heard last at the end: its keys and their times of arrival, oldest first.
        self._devices: OrderedDict[str, dict[int, int]] = OrderedDict()
        self._reserved: dict[tuple[str, int], Receipt] = {}

    def look_up(self, uplink: Uplink) -> Duplicate | None:
        """None: it is the first of its kind; its key is then reserved until its receipt settles, and its `states` say
        what has to become durable with its records."""
        decoded, beside = uplink.decoded, uplink.beside
        plan = None if decoded is None else decoded.message.dedup
        if beside is not None and beside.trace_id:
            plan, key = _TRACED, [TRACE, beside.trace_id, beside.part]
        elif plan is not None and decoded is not None:
            key = plan.key(decoded.values, uplink.raw) or []
        else:
            return None
        if not key or uplink.replayed:
            return None
        name = decoded.message.name if decoded is not None else ""
        digest = _digest([uplink.product.id, name, *key])
        lane = uplink.device.key.lane
        first = self._reserved.get((lane, digest))
        if first is not None:
            return Duplicate(first)
        known = self._devices.get(lane)
        if known is not None:
            time_ms = known.get(digest)
            if time_ms is not None and abs(uplink.received_ms - time_ms) <= plan.window_ms:
                return Duplicate(None)
        self._reserve(uplink, plan, lane, digest)
        return None

    def _reserve(self, uplink: Uplink, plan: DedupPlan, lane: str, digest: int) -> None:
        receipt = uplink.receipt
        time_ms = max(uplink.received_ms, 0)
        tell = receipt.on_settled

        def settled(receipt: Receipt) -> None:
            # Before its sender hears of it, who may have sent the copy that is looked up next.
            del self._reserved[lane, digest]
            if receipt.outcome is Outcome.ACCEPTED:
                self._remember(lane, digest, time_ms, plan)
            if tell is not None:
                tell(receipt)

        receipt.on_settled = settled
        self._reserved[lane, digest] = receipt
        name = lane.encode()
        payload = b"%b%b%b%b" % (_FORMAT, _HEAD.pack(len(name), 1), name, _ONE.pack(digest, time_ms))
        uplink.states = (*uplink.states, State(StateKind.DEDUP, payload))

    def _remember(self, lane: str, digest: int, time_ms: int, plan: DedupPlan) -> None:
        known = self._device(lane)
        self._put(known, digest, time_ms, plan.kept)
        while self.keys > self._max_keys:
            oldest, times = next(iter(self._devices.items()))
            gone = next(iter(times))
            self.evicted += abs(time_ms - times.pop(gone)) <= plan.window_ms
            self.keys -= 1
            if not times:
                del self._devices[oldest]
        while len(self._devices) > self._max_devices:
            _, times = self._devices.popitem(last=False)
            self.evicted += sum(abs(time_ms - time) <= plan.window_ms for time in times.values())
            self.keys -= len(times)

    def _device(self, lane: str) -> dict[int, int]:
        known = self._devices.get(lane)
        if known is None:
            known = self._devices[lane] = {}
        else:
            self._devices.move_to_end(lane)
        return known

    def _put(self, known: dict[int, int], digest: int, time_ms: int, kept: int) -> None:
        if known.pop(digest, None) is None:
            self.keys += 1
        known[digest] = time_ms
        while len(known) > kept:
            del known[next(iter(known))]
            self.keys -= 1

    # What survives a restart.

    def snapshot(self) -> Iterator[bytes]:
        """Everything that is remembered; what is only reserved is not in it."""
        parts = [_FORMAT]
        size = 1
        for lane, known in self._devices.items():
            name = lane.encode()
            part = (
                _HEAD.pack(len(name), len(known)) + name + struct.pack(f"<{2 * len(known)}Q", *known, *known.values())
            )
            parts.append(part)
            size += len(part)
            if size >= _PAYLOAD_BYTES:
                yield b"".join(parts)
                parts, size = [_FORMAT], 1
        if len(parts) > 1:
            yield b"".join(parts)

    def restore(self, payload: bytes) -> None:
        """Takes up a payload of `snapshot` or of an uplink's `states`. Of another version: nothing of it."""
        if payload[:1] != _FORMAT:
            return
        offset = 1
        while offset < len(payload):
            length, count = _HEAD.unpack_from(payload, offset)
            offset += _HEAD.size
            lane = payload[offset : offset + length].decode()
            offset += length
            numbers = struct.unpack_from(f"<{2 * count}Q", payload, offset)
            offset += 16 * count
            known = self._device(lane)
            for digest, time_ms in zip(numbers[:count], numbers[count:], strict=True):
                self._put(known, digest, time_ms, _MAX_PER_DEVICE)
            while self.keys > self._max_keys or len(self._devices) > self._max_devices:
                self.keys -= len(self._devices.popitem(last=False)[1])


def _digest(key: list[Any]) -> int:
    try:
        text = orjson.dumps(key)
    except TypeError:  # integers beyond 64 bits, or text that is none
        text = repr(key).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
