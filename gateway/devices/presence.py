"""Presence: which devices are there, as they say themselves, or as their last wills say of them.

Place in the walk: the topic flow tells it; metrics and health ask. In memory and bounded: of many more devices than it
holds, those that were heard last are known.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.domain.device import DeviceKey
from gateway.observe.health import ComponentHealth

__all__ = ["MAX_DEVICES", "Presence", "Seen"]

MAX_DEVICES = 131_072
"""One is about 300 bytes."""


@dataclass(slots=True)
class Seen:
    """online: as it was said last. last_seen_ms: Unix ms of when it was last said to be online; 0: never.
    changed_ms: since when it is what it is."""

    online: bool
    last_seen_ms: int
    changed_ms: int


class Presence:
    """Implements `PresencePort`. online_count, offline_count: of the devices that it holds. forgotten: pushed out."""

    __slots__ = ("_devices", "_max_devices", "forgotten", "online_count")

    def __init__(self, *, max_devices: int = MAX_DEVICES) -> None:
        self._devices: OrderedDict[DeviceKey, Seen] = OrderedDict()  # heard last at the end
        self._max_devices = max_devices
        self.online_count = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._devices)

    @property
    def offline_count(self) -> int:
        return len(self._devices) - self.online_count

    def find(self, key: DeviceKey) -> Seen | None:
        return self._devices.get(key)

    def online(self, key: DeviceKey, unix_ms: int) -> None:
        self._heard(key, True, unix_ms).last_seen_ms = unix_ms

    def offline(self, key: DeviceKey, unix_ms: int) -> None:
        self._heard(key, False, unix_ms)

    def health(self) -> ComponentHealth:
        """Devices that are away are no fault of the gateway."""
        return ComponentHealth(facts={"online": self.online_count, "offline": self.offline_count})

    def _heard(self, key: DeviceKey, online: bool, unix_ms: int) -> Seen:
        seen = self._devices.get(key)
        if seen is None:
            seen = self._devices[key] = Seen(online, 0, unix_ms)
            self.online_count += online
            if len(self._devices) > self._max_devices:
                _, oldest = self._devices.popitem(last=False)
                self.online_count -= oldest.online
                self.forgotten += 1
            return seen
        self._devices.move_to_end(key)
        if seen.online is not online:
            self.online_count += 1 if online else -1
            seen.online, seen.changed_ms = online, unix_ms
        return seen
