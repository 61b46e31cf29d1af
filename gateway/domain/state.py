"""State: what the gateway must remember together with the records it came with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class StateKind(IntEnum):
    """Whose state it is. The numbers stand in files: never change or reuse one."""

    DEDUP = 1
    MQTT = 2
    IDEMPOTENCY = 3


@dataclass(slots=True)
class State:
    """A small fact (`payload`, opaque to everyone but its keeper) that becomes durable in one with its records."""

    kind: StateKind
    payload: bytes
