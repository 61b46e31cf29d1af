from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from decoders.plan import Decoded, DedupPlan, MessagePlan
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import StateKind
from gateway.domain.uplink import Uplink
from gateway.pipeline.dedup import Dedup, Duplicate
from tests.gateway.fakes import DATA, LineProduct

NOW_MS = 1_772_323_200_000
WINDOW_MS = 10_000
PRODUCT = LineProduct()


def plan(name: str = "data", **more: Any) -> MessagePlan:
    options: dict[str, Any] = {"names": ("n",), "paths": (("n",),), "window_ms": WINDOW_MS, "kept": 4} | more
    return MessagePlan(name, "telemetry", login=False, dedup=DedupPlan(**options))


PLAN = plan()


def uplink(
    n: Any = 1,
    device: str = "d",
    *,
    at_ms: int = NOW_MS,
    message: MessagePlan = PLAN,
    told: list[Receipt] | None = None,
    **more: Any,
) -> Uplink:
    receipt = Receipt(told.append if told is not None else None)
    values = n if isinstance(n, dict) else {"n": n}
    key = DeviceKey("", device)
    return Uplink(
        "uid", b"raw", at_ms, PRODUCT, Device(key), receipt, "lsn", "ses", decoded=Decoded(message, values), **more
    )


def settle(made: Uplink, outcome: Outcome = Outcome.ACCEPTED) -> Uplink:
    made.receipt.outcome = outcome
    if made.receipt.on_settled is not None:
        made.receipt.on_settled(made.receipt)
    return made


def keep(dedup: Dedup, *more: Any, **options: Any) -> Uplink:
    """A message that is the first of its kind, and kept."""
    made = uplink(*more, **options)
    assert dedup.look_up(made) is None
    return settle(made)


def is_known(dedup: Dedup, *more: Any, **options: Any) -> bool:
    """Whether it is a copy of a message that was kept; leaves no trace."""
    made = uplink(*more, **options)
    found = dedup.look_up(made)
    if found is None:
        settle(made, Outcome.REFUSED)
    else:
        assert found == Duplicate(None)
    return found is not None


def restarted(dedup: Dedup, kept: Sequence[Uplink] = (), **options: Any) -> Dedup:
    """With a snapshot of the old one, and the states that were written since."""
    new = Dedup(**options)
    for payload in dedup.snapshot():
        new.restore(payload)
    for made in kept:
        for state in made.states:
            assert state.kind is StateKind.DEDUP
            new.restore(state.payload)
    return new


def test_a_copy_of_what_was_kept_is_one() -> None:
    dedup = Dedup()
    keep(dedup)
    assert is_known(dedup)
    assert not is_known(dedup, 2)
    assert not is_known(dedup, device="other")
    assert not is_known(dedup, message=plan("other_message"))


def test_a_copy_in_between_shares_the_first_ones_fate() -> None:
    dedup = Dedup()
    first = uplink()
    assert dedup.look_up(first) is None
    for _ in range(2):
        assert dedup.look_up(uplink()) == Duplicate(first.receipt)
    settle(first)
    assert is_known(dedup)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.DEAD_LETTERED])
def test_what_made_no_records_is_not_remembered(outcome: Outcome) -> None:
    dedup = Dedup()
    first = uplink()
    assert dedup.look_up(first) is None
    settle(first, outcome)
    assert dedup.keys == 0
    assert dedup.look_up(uplink()) is None


def test_its_sender_hears_of_it_when_it_is_remembered() -> None:
    """What the sender does then may bring in the copy."""
    dedup = Dedup()
    seen: list[bool] = []
    first = uplink()
    first.receipt.on_settled = lambda receipt: seen.append(is_known(dedup))
    assert dedup.look_up(first) is None
    settle(first)
    assert seen == [True]


def test_without_a_key_everything_counts() -> None:
    dedup = Dedup()
    for message, values in ((DATA, {"n": 1}), (PLAN, {}), (PLAN, {"n": None})):
        made = uplink(values, message=message)
        assert dedup.look_up(made) is None
        assert made.states == ()
        settle(made)
    assert dedup.keys == 0


def test_replays_are_no_copies_and_leave_no_key() -> None:
    dedup = Dedup()
    keep(dedup)
    again = uplink(replayed=True)
    assert dedup.look_up(again) is None
    assert again.states == ()


@pytest.mark.parametrize("value", [2**70, "\ud800", [1, {"a": 2}], {"b": float("nan")}, True, 1.5])
def test_a_key_may_be_any_value(value: Any) -> None:
    dedup = Dedup()
    keep(dedup, {"n": value})
    assert is_known(dedup, {"n": value})
    assert not is_known(dedup, {"n": [value, value]})


def test_values_of_groups_whole_frames_and_ids_belong_to_the_key() -> None:
    message = plan(names=("g.n", "frame"), paths=(("g", "n"),), frame=True, about=("child",))
    dedup = Dedup()
    keep(dedup, {"g": {"n": 1}, "child": "a"}, message=message)
    assert is_known(dedup, {"g": {"n": 1}, "child": "a"}, message=message)
    assert not is_known(dedup, {"g": {"n": 1}, "child": "b"}, message=message)
    assert not is_known(dedup, {"g": {"n": 1}}, message=message)
    other = uplink({"g": {"n": 1}, "child": "a"}, message=message)
    other.raw = b"other"
    assert dedup.look_up(other) is None


def test_a_trace_id_is_the_key_where_there_is_one() -> None:
    message = plan(traced=True)
    dedup = Dedup()
    keep(dedup, {"n": 1, "trace_id": "t"}, message=message)
    assert is_known(dedup, {"n": 2, "trace_id": "t"}, message=message)
    assert not is_known(dedup, {"n": 1, "trace_id": "u"}, message=message)
    assert not is_known(dedup, {"n": 1}, message=message)


# The window


def test_a_copy_comes_within_the_window() -> None:
    dedup = Dedup()
    keep(dedup)
    assert is_known(dedup, at_ms=NOW_MS + WINDOW_MS)
    assert not is_known(dedup, at_ms=NOW_MS + WINDOW_MS + 1)
    keep(dedup, at_ms=NOW_MS + WINDOW_MS + 1)
    assert is_known(dedup, at_ms=NOW_MS + 2 * WINDOW_MS)
    assert dedup.keys == 1


def test_the_last_ones_of_each_device_are_remembered() -> None:
    dedup = Dedup()
    for n in range(6):
        keep(dedup, n)
    keep(dedup, 0, "other")
    assert [is_known(dedup, n) for n in range(6)] == [False, False, True, True, True, True]
    assert is_known(dedup, 0, "other")
    assert (dedup.keys, dedup.evicted) == (5, 0)


def test_over_all_devices_the_one_heard_longest_ago_gives_way() -> None:
    dedup = Dedup(max_keys=4)
    for device in "abab":
        keep(dedup, dedup.keys, device)
    keep(dedup, 9, "a")
    assert [is_known(dedup, 1, "b"), is_known(dedup, 3, "b")] == [False, True]
    assert all(is_known(dedup, n, "a") for n in (0, 2, 9))
    assert (dedup.keys, dedup.evicted) == (4, 1)
    keep(dedup, 10, "a", at_ms=NOW_MS + WINDOW_MS * 2)  # what goes now was of no use any more
    assert (dedup.keys, dedup.evicted) == (4, 1)


def test_only_so_many_devices_are_remembered() -> None:
    dedup = Dedup(max_devices=2)
    for device in "abac":
        keep(dedup, dedup.keys, device)
    assert [is_known(dedup, 0, "a"), is_known(dedup, 1, "b"), is_known(dedup, 3, "c")] == [True, False, True]
    assert (dedup.keys, dedup.evicted) == (3, 1)


# A clock that jumps


@pytest.mark.parametrize("jump_ms", [86_400_000, -86_400_000])
def test_a_clock_that_jumps_there_and_back_forgets_nothing(jump_ms: int) -> None:
    dedup = Dedup()
    keep(dedup, 1)
    keep(dedup, 2, at_ms=NOW_MS + jump_ms)
    keep(dedup, 3, "other", at_ms=NOW_MS + jump_ms)
    assert not is_known(dedup, 1, at_ms=NOW_MS + jump_ms)  # a repeat, not a loss
    assert is_known(dedup, 2, at_ms=NOW_MS + jump_ms + 1)
    assert is_known(dedup, 1, at_ms=NOW_MS + 1)
    assert not is_known(dedup, 2, at_ms=NOW_MS + 1)


def test_a_clock_that_falls_back_all_the_time_takes_no_more_room() -> None:
    dedup = Dedup(max_keys=50)
    for n in range(1000):
        keep(dedup, n, str(n % 20), at_ms=max(NOW_MS - n * 3_600_000, -5))
    assert dedup.keys == 50


def test_a_clock_before_1970_is_no_reason_to_fail() -> None:
    dedup = Dedup()
    kept = keep(dedup, at_ms=-5)
    assert is_known(restarted(Dedup(), [kept]), at_ms=-5)


# A restart


def test_what_was_kept_is_known_after_a_restart() -> None:
    dedup = Dedup()
    in_snapshot = keep(dedup, 1)
    assert dedup.look_up(uplink(2)) is None  # reserved: not in the snapshot
    assert len(list(dedup.snapshot())) == 1
    new = restarted(dedup)
    assert (is_known(new, 1), is_known(new, 2), new.keys) == (True, False, 1)
    new = restarted(Dedup(), [in_snapshot, keep(dedup, 3, "한국/차량")])
    assert (is_known(new, 1), is_known(new, 3, "한국/차량"), is_known(new, 2)) == (True, True, False)


def test_a_large_snapshot_comes_in_pieces_of_which_each_stands_alone() -> None:
    dedup = Dedup()
    devices = [f"{i:015d}" for i in range(3000)]
    for n in range(4):
        for device in devices:
            keep(dedup, n, device)
    pieces = list(dedup.snapshot())
    assert len(pieces) > 1
    assert max(map(len, pieces)) < 200_000
    new = Dedup()
    for piece in reversed(pieces):
        new.restore(piece)
    assert new.keys == dedup.keys == 12_000
    assert all(is_known(new, n, device) for n in range(4) for device in devices)


def test_a_smaller_memory_takes_the_latest_of_a_snapshot() -> None:
    dedup = Dedup()
    for n in range(3):
        for device in "abcd":
            keep(dedup, n, device)
    new = restarted(dedup, max_keys=6)
    assert new.keys == 6
    assert all(is_known(new, n, device) for n in range(3) for device in "cd")
    assert list(restarted(dedup, max_devices=1)._devices) == ["d"]


def test_payloads_of_another_version_say_nothing_and_broken_ones_raise() -> None:
    dedup = Dedup()
    payload = keep(dedup).states[0].payload
    new = Dedup()
    new.restore(b"")
    new.restore(b"\x02" + payload[1:])
    assert new.keys == 0
    for size in range(2, len(payload)):
        with pytest.raises(Exception, match=r".") as caught:
            new.restore(payload[:size])
        assert "requires a buffer" in str(caught.value)


# Against a small model


@dataclass
class Sent:
    """A first copy that is not settled; followers: copies that came since."""

    made: Uplink
    device: str
    n: int
    at_ms: int
    followers: int = 0


@dataclass
class Model:
    """What is remembered of a device: its last four kept keys with their times, oldest first."""

    kept: dict[str, dict[int, int]] = field(default_factory=dict)

    def remember(self, device: str, n: int, at_ms: int) -> None:
        known = self.kept.setdefault(device, {})
        known.pop(n, None)
        known[n] = at_ms
        while len(known) > 4:
            del known[next(iter(known))]


class DedupMachine(RuleBasedStateMachine):
    """Arrivals, ends and restarts in any order, with a clock that goes where it likes. What is written with records is
    there after a restart if and only if they were kept."""

    devices = st.sampled_from("abc")
    numbers = st.integers(0, 5)

    @initialize()
    def begin(self) -> None:
        self.dedup = Dedup()
        self.model = Model()
        self.under_way: dict[tuple[str, int], Sent] = {}
        self.written: list[bytes] = []  # the newest snapshot, and what became durable since
        self.now_ms = NOW_MS

    @rule(device=devices, n=numbers)
    def arrive(self, device: str, n: int) -> None:
        made = uplink(n, device, at_ms=self.now_ms)
        found = self.dedup.look_up(made)
        before = self.under_way.get((device, n))
        known = self.model.kept.get(device, {}).get(n)
        if before is not None:
            assert found == Duplicate(before.made.receipt)
        elif known is not None and abs(self.now_ms - known) <= WINDOW_MS:
            assert found == Duplicate(None)
        else:
            assert found is None
            self.under_way[device, n] = Sent(made, device, n, self.now_ms)

    @rule(data=st.data(), outcome=st.sampled_from([Outcome.ACCEPTED, Outcome.REFUSED, Outcome.DEAD_LETTERED]))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        if not self.under_way:
            return
        sent = self.under_way.pop(data.draw(st.sampled_from(sorted(self.under_way))))
        settle(sent.made, outcome)
        if outcome is Outcome.ACCEPTED:
            self.model.remember(sent.device, sent.n, sent.at_ms)
            self.written += [state.payload for state in sent.made.states]

    @rule()
    def roll(self) -> None:
        self.written = list(self.dedup.snapshot())

    @rule()
    def crash(self) -> None:
        """Uplinks under way are lost with the process; their states were not durable."""
        self.under_way.clear()
        self.dedup = Dedup()
        for payload in self.written:
            self.dedup.restore(payload)
        for device, known in self.dedup._devices.items():  # the next message of a device brings it down to its count
            assert len(known) >= len(self.model.kept[device])
            while len(known) > 4:
                del known[next(iter(known))]
                self.dedup.keys -= 1

    @rule(by_ms=st.sampled_from([0, 1, WINDOW_MS // 2, WINDOW_MS, 100 * WINDOW_MS, -WINDOW_MS, -100 * WINDOW_MS]))
    def pass_time(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @invariant()
    def same(self) -> None:
        assert {device: len(known) for device, known in self.dedup._devices.items()} == {
            device: len(known) for device, known in self.model.kept.items()
        }
        assert self.dedup.keys == sum(map(len, self.model.kept.values()))
        assert len(self.dedup._reserved) == len(self.under_way)


TestDedupMachine = DedupMachine.TestCase
TestDedupMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
