"""The dead letters beside the records: what is odd about one, or fails there, harms no other."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

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


async def test_old_letters_that_cannot_be_deleted_do_not_end_the_delivery(
    rig: RigFactory, fifo_sink: ScriptedSink, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = 0

    def broken() -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("gateway.delivery.dead_letters._EXPIRE_EVERY_S", 0.001)
    async with rig(fifo_sink) as r:
        monkeypatch.setattr(r.letters._files, "expire", broken)
        await r.until(lambda: tried >= 3)
    assert "dead_letters_not_expired" in capsys.readouterr().out
