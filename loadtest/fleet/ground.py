"""What all devices of a run share: the clock, the wheel, chance, where the gateways are, and what is under way.

Place in the walk: the fleet makes one and hands it to every device.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

from loadtest.fleet.wheel import Wheel

__all__ = ["PORTS_OF_ADDRESS", "Address", "Ground", "sources"]

Address = tuple[str, int]

PORTS_OF_ADDRESS = 20_000
"""Connections from one address to one port: less than the 28,000 that Linux gives out."""
_BACKOFF_S = (0.1, 1.0)


def _none() -> dict[str, Address]:
    return {}


@dataclass(slots=True)
class Ground:
    """addresses: by face. ended: nobody comes back any more."""

    seed: int = 1
    addresses: dict[str, Address] = field(default_factory=_none)
    ended: bool = False
    random: random.Random = field(init=False)
    wheel: Wheel = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.wheel = Wheel(self.now)

    @staticmethod
    def now() -> float:
        """The clock of the run, in seconds."""
        return time.perf_counter()

    def spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def backoff_s(self) -> float:
        """Before a device that was refused or lost tries again."""
        return self.random.uniform(*_BACKOFF_S)

    async def end(self) -> None:
        """Ends whoever still tries to connect."""
        self.ended = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sources(count: int, *, loopback: bool) -> list[Address | None]:
    """For so many connections to one port: the address that each comes from; None: whatever the system takes."""
    if count <= PORTS_OF_ADDRESS or not loopback:
        return [None] * count
    return [(f"127.0.0.{2 + index // PORTS_OF_ADDRESS}", 0) for index in range(count)]
