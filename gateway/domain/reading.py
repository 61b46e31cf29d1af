"""Reading: what became of a message under a topic, before anything of it is kept.

Place in the walk: the topic reader says it; the topic flow, or a replay, acts on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import RefuseReason
from gateway.domain.uplink import Uplink

__all__ = ["Reading", "Refused"]


@dataclass(slots=True)
class Reading:
    """uplinks: in the order of the message; () where it leaves nothing to keep.

    present: who says of itself (or of whom a last will says) whether it is online. learned: devices that its topology
    names and that the directory may take up.
    """

    uplinks: Sequence[Uplink] = ()
    present: tuple[DeviceKey, bool] | None = None
    learned: Sequence[Device] = ()


@dataclass(slots=True)
class Refused:
    """It is not taken: nothing of it is kept. product: "" where none is known. detail: for people who watch."""

    reason: RefuseReason
    product: str = ""
    detail: str = ""
