"""Flow: one Uplink through the pipeline into the outbox.

Place in the walk: behind every face, before the outbox. Decides nothing; it is the one place where pipeline and
outbox meet, and the fence behind which an error of ours costs one uplink and not a session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from decoders.errors import DecodeCode
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import RefuseReason
from gateway.domain.ports import OutboxPort
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.uplink import Uplink
from gateway.observe import events
from gateway.observe.logs import LineLimit
from gateway.pipeline.chain import Chain, Duplicate, dead_letter

__all__ = ["Flow"]

_log = structlog.get_logger(__name__)


class Flow:
    """Implements `UplinkFlow`."""

    __slots__ = ("_chain", "_letter_lines", "_outbox")

    def __init__(self, chain: Chain, outbox: OutboxPort) -> None:
        self._chain = chain
        self._letter_lines = LineLimit()
        self._outbox = outbox

    def receive(self, uplink: Uplink) -> None:
        """Never raises; the receipt is settled now or later."""
        came_with = uplink.states  # a dead letter leaves no trace for the deduplication, which adds its own
        result = self.run(uplink)
        if isinstance(result, DeadLetter):
            events.dead_letter(self._letter_lines, result, _trace_id(uplink))
            self._put(uplink, result, came_with)
        else:
            self._put(uplink, result)

    def offer(self, uplink: Uplink, rejected: Callable[[DeadLetter], None]) -> None:
        """As `receive`, for a sender who is told what is wrong: what would be a dead letter is given to `rejected`
        instead of kept; then its receipt ends as refused (`rejected`)."""
        self.end(uplink, self.run(uplink), rejected)

    def end(
        self, uplink: Uplink, result: list[Record] | DeadLetter | Duplicate, rejected: Callable[[DeadLetter], None]
    ) -> None:
        """The rest of `offer`: what was made of the uplink goes into the outbox."""
        if isinstance(result, DeadLetter):
            rejected(result)
            self._outbox.settle(uplink.receipt, Outcome.REFUSED, RefuseReason.REJECTED.value)
        else:
            self._put(uplink, result)

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State]) -> None:
        """Records of several uplinks under one receipt. Never raises."""
        try:
            self._outbox.put(receipt, records, states)
        except Exception:
            _log.exception("outbox_failed", records=len(records))
            if receipt.outcome is None:
                self._outbox.settle(receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED.value)

    def run(self, uplink: Uplink) -> list[Record] | DeadLetter | Duplicate:
        """Through the pipeline alone. Never raises."""
        try:
            return self._chain.run(uplink)
        except Exception as error:
            self._failed("pipeline_failed", uplink)
            return dead_letter(uplink, DecodeCode.WRONG_ANSWER.value, "shape", f"internal error: {error!r}")

    def _put(
        self, uplink: Uplink, result: list[Record] | DeadLetter | Duplicate, came_with: Sequence[State] = ()
    ) -> None:
        try:
            if isinstance(result, list) and result:  # first: what nearly all are
                self._outbox.put(uplink.receipt, result, uplink.states)
            elif isinstance(result, DeadLetter):
                self._outbox.put_dead_letter(uplink.receipt, result, came_with)
            elif isinstance(result, Duplicate):
                if result.first is None:
                    self._outbox.settle(uplink.receipt, Outcome.DUPLICATE)
                else:
                    self._outbox.follow(uplink.receipt, result.first)
            elif uplink.states:
                self._outbox.put(uplink.receipt, result, uplink.states)
            else:
                self._outbox.settle(uplink.receipt, Outcome.ACCEPTED)
        except Exception:
            self._failed("outbox_failed", uplink)
            if uplink.receipt.outcome is None:
                self._outbox.settle(uplink.receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED.value)

    def _failed(self, event: str, uplink: Uplink) -> None:
        """An error of ours, being handled."""
        said = {"product": uplink.product.id, "session_id": uplink.session_id, "trace_id": _trace_id(uplink)}
        _log.exception(event, uplink_id=uplink.uplink_id, **said)

    def refuse(self, receipt: Receipt, reason: str) -> None:
        self._outbox.settle(receipt, Outcome.REFUSED, reason)

    def accept(self, receipt: Receipt) -> None:
        self._outbox.settle(receipt, Outcome.ACCEPTED)


def _trace_id(uplink: Uplink) -> str:
    return uplink.beside.trace_id if uplink.beside is not None else ""
