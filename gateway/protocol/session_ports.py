"""What a session is given: its limits, and the seams to those who carry, admit, count and keep.

Place in the walk: the face builds one `SessionPorts` per listener and hands it to each `DeviceSession`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from decoders.types import Identity
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import CloseReason, RefuseReason
from gateway.domain.ports import FrameTap, UplinkFlow
from gateway.domain.receipt import Outcome

__all__ = [
    "AdmissionPort",
    "Closable",
    "RoomGate",
    "SessionHost",
    "SessionLimits",
    "SessionPlace",
    "SessionPorts",
    "TrafficCounts",
]


@dataclass(slots=True, frozen=True)
class SessionLimits:
    """What one session may do. A timeout of 0 is off; all times are of the clock behind `on_clock`.

    frames_in_flight, bytes_in_flight: frames taken in and not answered; beyond it reading is held back.
    max_bad_frames: unusable frames in a row (wrong check value, data before login, over-long).
    max_garbage_bytes: bytes in a row that belong to no frame.
    """

    login_timeout_ms: int = 30_000
    idle_timeout_ms: int = 300_000
    frames_in_flight: int = 64
    bytes_in_flight: int = 1 << 20
    max_bad_frames: int = 10
    max_garbage_bytes: int = 4096


class RoomGate:
    """Whether the outbox takes uplinks now; one for all sessions of a listener."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = True


class SessionHost(Protocol):
    """What a session asks of the connection that carries it."""

    def write(self, data: bytes) -> None: ...

    def hold(self, held: bool) -> None:
        """True: stop reading, the session has enough; False: go on. Called on changes only."""
        ...

    def close(self, reason: CloseReason) -> None:
        """Ends the connection after what was written has left. The session is closed already."""
        ...

    def fail(self, error: Exception) -> None:
        """An error of ours: to be logged. The session closes itself afterwards."""
        ...


class AdmissionPort(Protocol):
    """Who may send."""

    def admit(
        self, identity: Identity, product: str, tenant: str, certified: str | None = None
    ) -> Device | RefuseReason:
        """certified: whom the connection's certificate names, "" for nobody; None without one."""
        ...


class Closable(Protocol):
    def close(self, reason: CloseReason) -> None: ...


class SessionPlace(Protocol):
    """Where live sessions stand by device."""

    def take(self, key: DeviceKey, session: Closable) -> None:
        """The session now speaks for the device; an older one is closed with TAKEOVER."""
        ...

    def release(self, key: DeviceKey, session: Closable) -> None:
        """The session no longer speaks for the device. Nothing happens if another one does."""
        ...


class TrafficCounts(Protocol):
    """What is counted per listener and product (`gateway.observe.metrics.TrafficCounters`)."""

    frames: int
    frame_bytes: int
    garbage_bytes: int
    received: int
    replies: int
    outcomes: dict[Outcome, int]
    refused: dict[str, int]
    decode_errors: dict[str, int]


@dataclass(slots=True)
class SessionPorts:
    """What all sessions of one listener share.

    make_id: id of an uplink from its time of arrival (Unix ms). unix_ms: the time that replies may show.
    traffic: counters of one product on this listener.
    """

    listener: str
    tenant: str
    limits: SessionLimits
    admission: AdmissionPort
    place: SessionPlace
    flow: UplinkFlow
    make_id: Callable[[int], str]
    unix_ms: Callable[[], int]
    tap: FrameTap
    gate: RoomGate
    traffic: Callable[[str], TrafficCounts]
