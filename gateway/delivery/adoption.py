"""Adoption: on a shared volume, a live gateway delivers what a dead one has left in its spool.

Place in the walk: beside the delivery of the own spool, with senders of its own. The order of a device is that of its
gateway: nothing is promised between what the dead one took in and what the live one does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from gateway.delivery.distribution import Distribution
from gateway.delivery.lanes import Entry
from gateway.delivery.outbox import Outbox
from gateway.delivery.routes import Routes
from gateway.delivery.sender import Sender
from gateway.delivery.spool.spool import Spool, adoptable
from gateway.domain.errors import OperatorError

_LOOK_EVERY_S = 5.0
_LOOKS = 4  # in a row at which a spool is free: its own gateway may only be starting again

_log = structlog.get_logger("gateway.delivery.adoption")


class Adoption:
    """Looks for spools that nobody holds, below the folder of the own one, and delivers them one after the other.

    open_spool, make_senders: as for the own spool, with `adopted`.
    """

    def __init__(
        self,
        own: Path,
        outbox: Outbox,
        routes: Routes,
        open_spool: Callable[[Path], Spool],
        make_senders: Callable[[], dict[str, Sender]],
        *,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._own = own
        self._outbox = outbox
        self._routes = routes
        self._open_spool = open_spool
        self._make_senders = make_senders
        self._look_every_s = look_every_s

    async def run(self) -> None:
        """Until cancelled."""
        looks: dict[Path, int] = {}
        while True:
            free = await asyncio.to_thread(adoptable, self._own.parent, self._own.name)
            looks = {path: looks.get(path, 0) + 1 for path in free}
            for path in [path for path, count in looks.items() if count >= _LOOKS]:
                try:
                    await self._adopt(path)
                except Exception as error:  # whatever it is, the own delivery goes on
                    cause = _cause(error)
                    known = isinstance(cause, OperatorError | OSError)  # another was faster, or it cannot be read
                    _log.warning("spool_not_adopted", directory=str(path), detail=str(cause), exc_info=not known)
            await asyncio.sleep(self._look_every_s)

    async def _adopt(self, path: Path) -> None:
        spool = self._open_spool(path)
        await spool.start()
        distribution = Distribution(spool, self._make_senders(), self._routes, self)
        finished = False
        try:
            await distribution.start()
            _log.info("spool_adopted", directory=str(path), records={f.name: f.backlog for f in distribution.feeds})
            workers = [
                asyncio.create_task(spool.run(self._outbox), name="adopted-spool"),
                asyncio.create_task(distribution.run(), name="adopted-distribution"),
            ]
            done = asyncio.create_task(distribution.until_done(), name="adopted-done")
            try:
                await asyncio.wait((*workers, done), return_when=asyncio.FIRST_COMPLETED)
                finished = distribution.done
            finally:
                for task in (*workers, done):
                    task.cancel()
                results = await asyncio.gather(*workers, done, return_exceptions=True)
            for error in results:
                if isinstance(error, Exception):
                    raise error
        finally:
            await distribution.close()
            if finished:
                with contextlib.suppress(OSError):
                    await spool.remove()
                _log.info("adopted_spool_delivered", directory=str(path))
            else:
                await spool.close()

    # The distribution's owner.

    def delivered(self, entries: Sequence[Entry]) -> None:
        """Nobody waits for these any more."""

    def bury(self, entry: Entry, sink: str, detail: str, kept: Callable[[bool], None]) -> None:
        self._outbox.keep_buried(entry[0], sink, detail, kept)


def _cause(error: Exception) -> Exception:
    """The first error of a task group that ended by it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
