"""Whether every acknowledged frame is in the sink: once, and in the order of its device.

Place in the walk: the watchers of the sinks hand records in as they come; `close` compares with what the devices know.
Memory grows with devices, not with frames: frames of a device come in order, so that what has arrived is a number and
the few beyond a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from loadtest.faults.balance import Balance
from loadtest.fleet.histogram import Histogram
from loadtest.fleet.numbers import Numbers, number_of

__all__ = ["SinkBalance"]

_SHOWN = 5
_MAX_TIMES = 200_000
"""Texts of device times that are remembered with their numbers: all devices share them."""

Name = tuple[int, int]
"""(epoch, seq): rising per device and gateway."""


class _Arrived:
    """What has arrived of one device. upto: all frames until this number; beyond: further ones."""

    __slots__ = ("beyond", "last", "names", "numbers", "upto")

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.upto = 0
        self.beyond: set[int] = set()
        self.names: dict[str, Name] = {}  # by gateway: the highest name
        self.last: dict[str, int] = {}  # by gateway: the highest number of a first appearance

    def has(self, number: int) -> bool:
        return number <= self.upto or number in self.beyond

    def add(self, number: int) -> None:
        self.beyond.add(number)
        while self.upto + 1 in self.beyond:
            self.upto += 1
            self.beyond.discard(self.upto)


class SinkBalance:
    """measured_from: as in `Tally`. until_sink: from due to seen in the sink. second: the same since the last
    `take_second`. other: records without a number of a device (heartbeats), of whomever."""

    def __init__(self) -> None:
        self.measured_from = math.inf
        self.until_sink = Histogram()
        self.second = Histogram()
        self.other = 0
        self.balance = Balance()
        self._devices: dict[str, _Arrived] = {}
        self._times: dict[str, int] = {}

    def expect(self, numbers: Numbers) -> None:
        """Records of this device will come. ValueError: two devices have one id."""
        if numbers.device_id in self._devices:
            raise ValueError(f"two simulated devices have the id {numbers.device_id}")
        self._devices[numbers.device_id] = _Arrived(numbers)

    def take(self, record: dict[str, Any], seen: float) -> None:
        """A record, in the order in which a consumer reads them. seen: when it was in the sink, on the run's clock."""
        arrived = self._devices.get(record["device_id"])
        number = self._number(record.get("device_timestamp"))
        if arrived is None or not 0 < number <= arrived.numbers.sent:
            self.other += 1
            return
        balance = self.balance
        gateway, name = record["gateway_id"], (record["epoch"], record["seq"])
        if name <= arrived.names.get(gateway, (0, 0)):
            if arrived.has(number):
                balance.repeated += 1
                return
            balance.misnamed += 1
            self._example(f"{record['device_id']}: {name} after {arrived.names[gateway]}")
        else:
            arrived.names[gateway] = name
        if arrived.has(number):
            balance.resent += 1
            return
        arrived.add(number)
        balance.arrived += 1
        if number < arrived.last.get(gateway, 0):
            balance.disordered += 1
            self._example(f"{record['device_id']}: frame {number} after frame {arrived.last[gateway]}")
        else:
            arrived.last[gateway] = number
        due = arrived.numbers.due[number - 1]
        self.second.record(seen - due)
        if due >= self.measured_from:
            self.until_sink.record(seen - due)

    def take_second(self) -> Histogram:
        taken, self.second = self.second, Histogram()
        return taken

    def count_repeats(self, count: int) -> None:
        """Copies that the reader has dropped itself."""
        self.balance.repeated += count

    def close(self, devices: Iterable[Numbers]) -> Balance:
        """Compares with what the devices have sent, and know to be kept."""
        balance = self.balance
        for numbers in devices:
            balance.sent += numbers.sent
            balance.acknowledged += numbers.acknowledged
            arrived = self._devices[numbers.device_id]
            for number in range(arrived.upto + 1, numbers.acknowledged + 1):
                if number not in arrived.beyond:
                    balance.lost += 1
                    self._example(f"{numbers.device_id}: frame {number} of {numbers.acknowledged} is lost")
        return balance

    def _number(self, device_timestamp: str | None) -> int:
        if device_timestamp is None:
            return 0
        number = self._times.get(device_timestamp)
        if number is None:
            if len(self._times) >= _MAX_TIMES:
                self._times.clear()
            number = self._times[device_timestamp] = number_of(device_timestamp)
        return number

    def _example(self, text: str) -> None:
        if len(self.balance.examples) < _SHOWN:
            self.balance.examples.append(text)
