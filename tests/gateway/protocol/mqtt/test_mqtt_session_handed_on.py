"""QoS 2 over a kill: what was acknowledged reaches subscribers who are away, once, wherever the process died.

A publish takes two commits where somebody has to be given it: its record and its id, then the queues and that it was
handed on. A client that was not answered sends it again.
"""

from __future__ import annotations

import pytest

from gateway.domain.state import State, StateKind
from gateway.protocol.mqtt.packets import Pubcomp, Publish, Pubrec, Pubrel
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer, given

NOTE = Publish("notes", b"1", 2, packet_id=5)
AGAIN = Publish("notes", b"1", 2, dup=True, packet_id=5)


def bench_with_a_subscriber_away() -> Bench:
    bench = Bench()
    away = bench.stay("away")
    away.subscribe("notes")
    away.drop()
    return bench


def killed_after(bench: Bench, commits: int) -> Peer:
    """A publish whose process dies after so many commits of it; the client is there again."""
    sender = bench.stay("sender")
    bench.flow.hold = bench.flow.hold_states = True
    sender.say(NOTE)
    for _ in range(commits):
        bench.settle(0)
    bench.flow.waiting.clear()
    bench.flow.hold = bench.flow.hold_states = False
    bench.restart()
    return bench.stay("sender")


def released(sender: Peer) -> None:
    sender.say(Pubrel(5))
    assert sender.one(Pubcomp) == Pubcomp(5)


def got(bench: Bench) -> list[tuple[str, bytes, int]]:
    return given(bench.stay("away"))


@pytest.mark.parametrize(("commits", "uplinks"), [(0, 2), (1, 1), (2, 1)])
def test_it_is_recorded_and_handed_on_once(commits: int, uplinks: int) -> None:
    bench = bench_with_a_subscriber_away()
    sender = killed_after(bench, commits)
    sender.say(AGAIN)
    assert sender.one(Pubrec) == Pubrec(5)
    released(sender)
    assert len(bench.flow.taken) == uplinks  # without a commit nothing was kept of the first
    assert got(bench) == [("notes", b"1", 2)]


def test_a_second_copy_is_not_handed_on() -> None:
    bench = bench_with_a_subscriber_away()
    sender = killed_after(bench, 1)
    bench.flow.hold_states = True
    sender.say(AGAIN)
    sender.say(AGAIN)
    bench.flow.hold_states = False
    bench.settle()
    assert sender.read() == [Pubrec(5), Pubrec(5)]
    released(sender)
    assert got(bench) == [("notes", b"1", 2)]


def test_a_kill_in_the_second_attempt() -> None:
    bench = bench_with_a_subscriber_away()
    sender = killed_after(bench, 1)
    bench.flow.hold_states = True
    sender.say(AGAIN)
    assert sender.read() == []
    bench.flow.waiting.clear()
    bench.flow.hold_states = False
    bench.restart()
    sender = bench.stay("sender")
    sender.say(AGAIN)
    sender.one(Pubrec)
    assert got(bench) == [("notes", b"1", 2)]


def test_a_release_ends_what_nobody_had_to_be_given() -> None:
    bench = Bench()
    sender = bench.stay("sender")
    sender.say(NOTE)
    sender.one(Pubrec)
    bench.restart()
    sender = bench.stay("sender")
    released(sender)
    sender.say(NOTE)  # the id is free for another
    sender.one(Pubrec)
    assert len(bench.flow.taken) == 2


def test_what_is_retained_is_retained_again() -> None:
    bench = Bench()
    sender = bench.stay("sender")
    bench.flow.hold = bench.flow.hold_states = True
    sender.say(Publish("latest", b"1", 2, retain=True, packet_id=5))
    bench.settle(0)
    bench.flow.waiting.clear()
    bench.flow.hold = bench.flow.hold_states = False
    bench.restart()
    sender = bench.stay("sender")
    sender.say(Publish("latest", b"1", 2, retain=True, dup=True, packet_id=5))
    sender.one(Pubrec)
    reader = bench.join("reader")
    reader.subscribe("latest")
    assert given(reader) == [("latest", b"1", 2)]


@pytest.mark.parametrize("commits", [1, 2])
@pytest.mark.parametrize("log_too", [False, True])
def test_the_snapshot_says_the_same(commits: int, log_too: bool) -> None:
    bench = bench_with_a_subscriber_away()
    killed_after(bench, commits).drop()
    snapshot = [State(StateKind.MQTT, payload) for payload in bench.memory.snapshot()]
    bench.flow.log = [*snapshot, *bench.flow.log] if log_too else snapshot
    bench.restart()
    sender = bench.stay("sender")
    sender.say(AGAIN)
    sender.one(Pubrec)
    released(sender)
    assert got(bench) == [("notes", b"1", 2)]
