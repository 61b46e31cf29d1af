"""A session with everything it needs, and an outbox that a test settles."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.access.admission import Admission, Provisioning
from gateway.devices.directory import FileDirectory
from gateway.devices.sessions import SessionRegistry
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.flow import Flow
from gateway.observe.metrics import Metrics, TrafficCounters
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.protocol.device_session import DeviceSession
from gateway.protocol.session_ports import RoomGate, SessionLimits, SessionPorts
from tests.gateway.fakes import FakeClock, FakeOutbox, FakeTap, LineProduct


class Host:
    """Implements SessionHost; remembers what it was asked for."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.held = False
        self.holds: list[bool] = []
        self.closed: CloseReason | None = None
        self.errors: list[Exception] = []

    def write(self, data: bytes) -> None:
        assert self.closed is None, "written after the close"
        self.writes.append(data)

    def hold(self, held: bool) -> None:
        assert held is not self.held
        self.held = held
        self.holds.append(held)

    def close(self, reason: CloseReason) -> None:
        assert self.closed is None, "closed twice"
        self.closed = reason

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)


class Bench:
    """Everything a session needs, with an outbox that a test settles."""

    def __init__(
        self,
        *,
        limits: SessionLimits | None = None,
        hold: bool = False,
        directory: str = "",
        provisioning: Provisioning = Provisioning.ALLOW_NEW,
        products: Sequence[LineProduct] = (),
        tap: bool = False,
    ) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.outbox = FakeOutbox(hold=hold)
        self.registry = SessionRegistry()
        self.tap = FakeTap(enabled=tap)
        self.gate = RoomGate()
        self.products = list(products) or [LineProduct()]
        self.opened = 0
        self.made = 0
        found = FileDirectory.from_text(directory, "devices.yaml")
        chain = Chain(Shaper(Numbering("gw", 1), "dev", found))
        self.ports = SessionPorts(
            listener="l",
            tenant="",
            limits=limits or SessionLimits(max_bad_frames=3, max_garbage_bytes=20, frames_in_flight=4),
            admission=Admission(found, provisioning),
            place=self.registry,
            flow=Flow(chain, self.outbox),
            make_id=self._make_id,
            unix_ms=self.clock.unix_ms,
            tap=self.tap,
            gate=self.gate,
            traffic=lambda product: self.metrics.traffic("l", product),
        )

    def _make_id(self, now_ms: int) -> str:
        self.made += 1
        return f"u{self.made}"

    def open(self) -> tuple[DeviceSession, Host]:
        self.opened += 1
        host = Host()
        session = DeviceSession(
            self.products, self.ports, host, session_id=f"s{self.opened}", peer="p", opened_ms=self.clock.now_ms
        )
        return session, host

    def give(self, session: DeviceSession, data: bytes) -> None:
        session.receive_bytes(data, self.clock.now_ms)

    @property
    def traffic(self) -> TrafficCounters:
        return self.metrics.traffic("l", "line")

    def assert_balanced(self) -> None:
        assert self.metrics.in_flight() == 0
        assert sum(self.traffic.refused.values()) == self.traffic.outcomes[Outcome.REFUSED]
