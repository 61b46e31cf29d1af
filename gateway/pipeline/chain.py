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
from gateway.pipeline.dedup import Dedup, Duplicate
from gateway.pipeline.shape import Shaper
from gateway.pipeline.validate import validate

__all__ = ["Chain", "Duplicate", "dead_letter"]


class Chain:
    """Turns an Uplink into what shall be kept. archive: None keeps no raw frames. dedup: None looks for no copies."""

    __slots__ = ("_archive", "_dedup", "_shaper")

    def __init__(self, shaper: Shaper, archive: Archive | None = None, dedup: Dedup | None = None) -> None:
        self._shaper = shaper
        self._archive = archive
        self._dedup = dedup

    def run(self, uplink: Uplink) -> list[Record] | DeadLetter | Duplicate:
        """Records in their order, of which an empty list leaves nothing to keep; or a dead letter; or it is a copy.

        Run an uplink only when the outbox has room: what is remembered of it is undone when its receipt is refused.
        """
        ended = check_decoded(uplink) or validate(uplink) or (self._dedup and self._dedup.look_up(uplink))
        # derive and alarm have their place here: after what may end an uplink, before its records are made
        kept = ended or self._shaper.shape(uplink)
        if self._archive is not None and isinstance(kept, list):
            kept.append(self._archive.record(uplink, len(kept)))
        return kept
