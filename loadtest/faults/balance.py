"""What became of every frame: the records in the stream, compared with what the devices know."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from loadtest.consume import bodies
from loadtest.faults.fleet import number_of

Name = tuple[str, int, int]
"""(gateway_id, epoch, seq) of a record."""

_SHOWN = 5


class Counting(Protocol):
    """A device that numbers what it sends from 1; acknowledged: all up to this number are answered."""

    device_id: str
    sent: int
    acknowledged: int


@dataclass(slots=True)
class Balance:
    """Counts of frames and records.

    lost: frames that were acknowledged and did not arrive. repeated: further copies of a record, known by its name.
    resent: further records of a frame that its device sent again, each with a name of its own. disordered: frames whose
    first record (of a gateway) comes after that of a later frame of the same device. misnamed: records that share a
    name and differ, or whose names do not rise within a device and gateway. expected: frames that a fault took away
    on purpose (a flipped bit); they are not in `lost`.
    """

    sent: int = 0
    acknowledged: int = 0
    arrived: int = 0
    lost: int = 0
    repeated: int = 0
    resent: int = 0
    disordered: int = 0
    misnamed: int = 0
    expected: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.lost or self.disordered or self.misnamed)

    def add(self, other: Balance) -> None:
        for name in ("sent", "acknowledged", "arrived", "lost", "repeated", "resent"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("disordered", "misnamed", "expected"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = (self.examples + other.examples)[:_SHOWN]


class Reader:
    """Takes records in the order in which a consumer reads them; `close` compares."""

    def __init__(self) -> None:
        self._seen: dict[Name, tuple[str, int]] = {}
        self._arrived: dict[str, set[int]] = {}  # by device
        self._last: dict[tuple[str, str], int] = {}  # by gateway and device: highest number of a first appearance
        self._last_name: dict[tuple[str, str], tuple[int, int]] = {}
        self.balance = Balance()

    def take(self, record: dict[str, Any]) -> None:
        balance = self.balance
        gateway, device = record["gateway_id"], record["device_id"]
        name = (gateway, record["epoch"], record["seq"])
        number = number_of(record["device_timestamp"])
        known = self._seen.get(name)
        if known is not None:
            balance.repeated += 1
            if known != (device, number):
                balance.misnamed += 1
                self._example(f"{name} names {known} and {(device, number)}")
            return
        self._seen[name] = (device, number)
        if name[1:] <= self._last_name.get((gateway, device), (0, 0)):
            balance.misnamed += 1
            self._example(f"{device}: {name} after {self._last_name[gateway, device]}")
        self._last_name[gateway, device] = name[1:]
        arrived = self._arrived.setdefault(device, set())
        if number in arrived:
            balance.resent += 1
            return
        arrived.add(number)
        balance.arrived += 1
        last = self._last.get((gateway, device), 0)
        if number < last:
            balance.disordered += 1
            self._example(f"{device}: frame {number} after frame {last}, seq {name[1:]}")
        else:
            self._last[gateway, device] = number

    def close(self, devices: Iterable[Counting], expected: Iterable[tuple[str, int]] = ()) -> Balance:
        """expected: device and number of frames that a fault took away on purpose."""
        balance = self.balance
        taken = set(expected)
        for device in devices:
            arrived = self._arrived.get(device.device_id, set())
            balance.sent += device.sent
            balance.acknowledged += device.acknowledged
            for number in range(1, device.acknowledged + 1):
                if number in arrived:
                    continue
                if (device.device_id, number) in taken:
                    balance.expected += 1
                else:
                    balance.lost += 1
                    self._example(f"{device.device_id}: frame {number} of {device.acknowledged} is lost")
        return balance

    def _example(self, text: str) -> None:
        if len(self.balance.examples) < _SHOWN:
            self.balance.examples.append(text)


async def read_all(stored: AsyncIterator[tuple[str, str, str]]) -> Reader:
    """Reads a stream as a consumer does: shards in order, whatever the packing."""
    reader = Reader()
    async for _, _, data in stored:
        for body in bodies(binascii.a2b_base64(data)):
            reader.take(orjson.loads(body))
    return reader
