from __future__ import annotations

from gateway.devices.sessions import SessionRegistry
from gateway.domain.device import DeviceKey
from gateway.domain.errors import CloseReason

KEY = DeviceKey("acme", "d")


class Session:
    """Releases its place when it is closed, as a real one does."""

    def __init__(self, registry: SessionRegistry) -> None:
        self.registry = registry
        self.closed: list[CloseReason] = []

    def close(self, reason: CloseReason) -> None:
        self.closed.append(reason)
        self.registry.release(KEY, self)


def test_the_newest_session_speaks_for_the_device() -> None:
    registry = SessionRegistry()
    older, newer = Session(registry), Session(registry)
    registry.take(KEY, older)
    registry.take(KEY, newer)
    assert older.closed == [CloseReason.TAKEOVER]
    assert newer.closed == []
    assert registry.find(KEY) is newer
    assert (len(registry), registry.takeovers) == (1, 1)


def test_taking_ones_own_place_again_changes_nothing() -> None:
    registry = SessionRegistry()
    session = Session(registry)
    registry.take(KEY, session)
    registry.take(KEY, session)
    assert (session.closed, registry.takeovers) == ([], 0)


def test_release_empties_only_ones_own_place() -> None:
    registry = SessionRegistry()
    session, stranger = Session(registry), Session(registry)
    registry.take(KEY, session)
    registry.release(KEY, stranger)
    assert registry.find(KEY) is session
    registry.release(KEY, session)
    registry.release(KEY, session)
    assert (registry.find(KEY), len(registry)) == (None, 0)


def test_tenants_are_apart() -> None:
    registry = SessionRegistry()
    session = Session(registry)
    registry.take(KEY, session)
    assert registry.find(DeviceKey("", "d")) is None
