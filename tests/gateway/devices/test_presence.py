"""Presence: counts, times, and a bound."""

from __future__ import annotations

from gateway.devices.presence import Presence, Seen
from gateway.domain.device import DeviceKey
from gateway.observe.health import ComponentHealth

A, B, C = (DeviceKey("t", name) for name in "abc")


def test_who_is_there() -> None:
    presence = Presence()
    presence.online(A, 10)
    presence.online(A, 20)
    presence.offline(B, 30)
    assert presence.find(A) == Seen(True, 20, 10)
    assert presence.find(B) == Seen(False, 0, 30)
    assert presence.find(C) is None
    assert presence.health() == ComponentHealth(facts={"online": 1, "offline": 1})
    presence.offline(A, 40)
    presence.offline(A, 50)
    assert presence.find(A) == Seen(False, 20, 40)
    assert (presence.online_count, presence.offline_count) == (0, 2)


def test_it_is_bounded_and_keeps_those_heard_last() -> None:
    presence = Presence(max_devices=2)
    presence.online(A, 1)
    presence.online(B, 2)
    presence.online(A, 3)
    presence.offline(C, 4)
    assert presence.find(B) is None
    assert (len(presence), presence.online_count, presence.offline_count, presence.forgotten) == (2, 1, 1, 1)
