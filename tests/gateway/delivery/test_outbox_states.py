"""States without a record of their own: durable before their receipt settles, and never before their dead letter."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.outbox import AckOn
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.receipt import Outcome
from gateway.domain.state import State, StateKind

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RecordFactory, RigFactory, ScriptedSink

MakeLetter = Callable[..., DeadLetter]


class Keeper:
    """Holds everything it was given back after a restart."""

    def __init__(self) -> None:
        self.restored: list[bytes] = []

    def snapshot(self) -> Iterator[bytes]:
        yield b"all"

    def restore(self, payload: bytes) -> None:
        self.restored.append(payload)


def state(payload: bytes) -> State:
    return State(StateKind.MQTT, payload)


async def restored(rig: RigFactory, sink: ScriptedSink) -> list[bytes]:
    """What the next start finds."""
    keeper = Keeper()
    async with rig(sink, keepers={StateKind.MQTT: keeper}):
        return keeper.restored


@pytest.mark.parametrize("ack_on", list(AckOn))
async def test_states_alone_are_durable_when_their_receipt_settles(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, ack_on: AckOn
) -> None:
    async with rig(fifo_sink, ack_on=ack_on) as r:
        receipt = ledger.receipt()
        r.outbox.put(receipt, (), [state(b"a"), state(b"b")])
        assert (receipt.outcome, receipt.pending) == (None, 1)
        await ledger.wait()
        assert (receipt.outcome, r.metrics.spool.commits) == (Outcome.ACCEPTED, 1)
        assert not fifo_sink.requests
    assert await restored(rig, fifo_sink) == [b"a", b"b"]


async def test_states_stand_in_the_order_in_which_they_were_put(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_record: RecordFactory
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put(ledger.receipt(), (), [state(b"1")])
        r.outbox.put(ledger.receipt(), [make_record()], [state(b"2")])
        r.outbox.put(ledger.receipt(), (), [state(b"3")])
        await ledger.wait()
        await r.until_delivered()
        assert ledger.outcomes() == [Outcome.ACCEPTED] * 3
        assert len(fifo_sink.stored) == 1
    assert await restored(rig, fifo_sink) == [b"1", b"2", b"3"]


async def test_states_alone_do_not_fill_the_spool(rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger) -> None:
    """No sink is owed any of it, so that nobody's progress frees it."""
    async with rig(fifo_sink, max_bytes=400_000, segment_bytes=20_000, keepers={StateKind.MQTT: Keeper()}) as r:
        for number in range(200):
            r.outbox.put(ledger.receipt(), (), [state(b"%d" % number + bytes(5_000))])
            await ledger.wait()
        await r.until(lambda: r.metrics.spool.segments <= 2)
        assert ledger.outcomes() == [Outcome.ACCEPTED] * 200
        assert r.outbox.has_room()
    assert (await restored(rig, fifo_sink))[-1].startswith(b"199")


async def test_a_letters_states_are_durable_with_its_receipt(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_letter: MakeLetter
) -> None:
    async with rig(fifo_sink) as r:
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(reason="bad_length"), [state(b"taken")])
        await ledger.wait()
        (receipt,) = ledger.made
        assert (receipt.outcome, receipt.reason, receipt.pending) == (Outcome.DEAD_LETTERED, "bad_length", 0)
        assert not r.outbox._after_letters
    assert await restored(rig, fifo_sink) == [b"taken"]


async def test_with_a_copy_for_a_sink_too(
    rig: RigFactory, make_sink: Callable[[str], ScriptedSink], ledger: Ledger, make_letter: MakeLetter
) -> None:
    main, copies = make_sink("main"), make_sink("copies")
    async with rig(main, copies, letters_also_to="copies", ack_on=AckOn.SINK) as r:
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(), [state(b"taken")])
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED]
        assert len(copies.stored) == 1


async def test_states_of_a_letter_that_cannot_be_kept_are_not_kept_either(
    rig: RigFactory,
    fifo_sink: ScriptedSink,
    ledger: Ledger,
    make_letter: MakeLetter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(data: bytes, *, unsound: bool) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with rig(fifo_sink) as r:
        monkeypatch.setattr(r.letters._files, "append", full)
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(), [state(b"taken")])
        await ledger.wait()
        assert (ledger.made[0].outcome, ledger.made[0].reason) == (Outcome.REFUSED, "outbox_full")
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(size=2_000_000), [state(b"taken too")])
        assert (ledger.made[1].outcome, ledger.made[1].reason) == (Outcome.REFUSED, "too_large")
        assert not r.outbox._after_letters
    assert await restored(rig, fifo_sink) == []


async def test_a_letter_whose_states_cannot_be_kept_is_not_acknowledged(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_letter: MakeLetter
) -> None:
    """Its sender sends it again; a second letter is better than a sender that is told "no" later."""
    async with rig(fifo_sink) as r:
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(), [state(b"taken")])
        r.spool.refuse_rest(r.outbox)
        await ledger.wait()
        assert (ledger.made[0].outcome, ledger.made[0].reason) == (Outcome.REFUSED, "sink_failed")
        assert r.metrics.dead_letters.written["truncated"] == 1


async def test_at_the_end_nobody_waits_for_states(
    rig: RigFactory, fifo_sink: ScriptedSink, ledger: Ledger, make_letter: MakeLetter
) -> None:
    async with rig(fifo_sink) as r:
        r.task.cancel()  # before its first turn
        r.outbox.put(ledger.receipt(), (), [state(b"a")])
        r.outbox.put_dead_letter(ledger.receipt(), make_letter(), [state(b"b")])
        await r.outbox.drain(0)
        assert ledger.outcomes() == [Outcome.REFUSED] * 2
        assert not r.outbox._after_letters
