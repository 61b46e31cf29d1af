"""The chain: every stage of an uplink, in order, on one screen.

Place in the walk: called by the flow, between face and outbox. Synchronous and CPU only: nothing else happens between
two stages, which is what keeps the order per device without a lock.
"""

from __future__ import annotations

from gateway.domain.dead_letter import DeadLetter
from gateway.domain.record import Record
from gateway.domain.uplink import Uplink
from gateway.pipeline.archive import Archive
from gateway.pipeline.decode import check_decoded, dead_letter
from gateway.pipeline.shape import Shaper
from gateway.pipeline.validate import validate

__all__ = ["Chain", "dead_letter"]


class Chain:
    """Turns an Uplink into what shall be kept. archive: None keeps no raw frames."""

    __slots__ = ("_archive", "_shaper")

    def __init__(self, shaper: Shaper, archive: Archive | None = None) -> None:
        self._shaper = shaper
        self._archive = archive

    def run(self, uplink: Uplink) -> list[Record] | DeadLetter:
        """Records in their order, or a dead letter; an empty list when there is nothing to keep."""
        letter = check_decoded(uplink) or validate(uplink)
        # dedup, derive and alarm have their place here: after what may end an uplink, before its records are made
        kept = letter or self._shaper.shape(uplink)
        if self._archive is not None and isinstance(kept, list):
            kept.append(self._archive.record(uplink, len(kept)))
        return kept
