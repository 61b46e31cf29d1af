"""Copies of dead letters as records: a letter may hold what no record can."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.domain.dead_letter import DeadLetter
from gateway.domain.receipt import Outcome

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import Ledger, RigFactory, ScriptedSink


async def test_a_letter_whose_copy_the_spool_cannot_hold_settles_its_receipt(
    rig: RigFactory,
    make_sink: Callable[[str], ScriptedSink],
    ledger: Ledger,
    make_letter: Callable[..., DeadLetter],
) -> None:
    """Half of a surrogate pair in a device's name: a letter can hold it, a record cannot."""
    main, copies = make_sink("main"), make_sink("copies")
    async with rig(main, copies, letters_also_to="copies") as r:
        letter = make_letter()
        letter.device_id = "\ud800"
        r.outbox.put_dead_letter(ledger.receipt(), letter)
        await ledger.wait()
        assert ledger.outcomes() == [Outcome.DEAD_LETTERED]
        r.outbox.put_dead_letter(ledger.receipt(), make_letter("letter-2"))
        await r.until_delivered()
    assert len(copies.stored) == 1
