"""The seams fit: what the gateway puts behind them has all that they name."""

from __future__ import annotations

import pytest

from gateway.access.admission import Admission
from gateway.devices.sessions import SessionRegistry
from gateway.ingress.stream_face import StreamFace
from gateway.observe.metrics import TrafficCounters
from gateway.protocol.device_session import DeviceSession
from gateway.protocol.session_ports import (
    AdmissionPort,
    Closable,
    SessionHost,
    SessionLimits,
    SessionPlace,
    TrafficCounts,
)


@pytest.mark.parametrize(
    ("port", "behind"),
    [
        (SessionHost, StreamFace),
        (AdmissionPort, Admission),
        (SessionPlace, SessionRegistry),
        (Closable, DeviceSession),
        (TrafficCounts, TrafficCounters),
    ],
)
def test_what_stands_behind_a_port_has_its_members(port: type, behind: type) -> None:
    members = {name for name in vars(port) if not name.startswith("_")} | set(vars(port).get("__annotations__", {}))
    assert members
    assert members <= set(dir(behind))


def test_the_limits_are_on_by_default() -> None:
    limits = SessionLimits()
    assert all(getattr(limits, name) > 0 for name in SessionLimits.__dataclass_fields__)
