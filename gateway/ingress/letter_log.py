"""LetterLog: a log line for what was not understood, so that whoever watches the log sees a device's mistake at once.

Place in the walk: beside the flow, when an uplink becomes a dead letter. A broken fleet must not fill the disk: lines
are limited, and the next one says how many were left out.
"""

from __future__ import annotations

import structlog

from gateway.domain.dead_letter import DeadLetter
from gateway.observe.logs import RateLimited

__all__ = ["LetterLog"]

_log = structlog.get_logger(__name__)

LINES_OF_ONE = 3
LINES_OF_REASON = 30
WINDOW_S = 60.0
"""Lines in that time: for one reason from one device, and for one reason of a listener in all."""

_MAX_SHOWN = 256
"""Characters of a text that may be the device's own."""


class LetterLog:
    __slots__ = ("_of_one", "_of_reason")

    def __init__(self) -> None:
        self._of_one = RateLimited(LINES_OF_ONE, WINDOW_S)
        self._of_reason = RateLimited(LINES_OF_REASON, WINDOW_S)

    def write(self, letter: DeadLetter) -> None:
        reason = (letter.reason, letter.listener)
        suppressed = self._of_one.allow((*reason, letter.product, letter.device_id))
        more = self._of_reason.allow(reason) if suppressed is not None else None
        if suppressed is None or more is None:
            return
        said = {
            "product": letter.product,
            "device_id": letter.device_id,
            "topic": letter.topic,
            "field": letter.field,
            "detail": letter.detail,
        }
        shown: dict[str, object] = {name: text[:_MAX_SHOWN] for name, text in said.items() if text}
        if suppressed + more:
            shown["suppressed"] = suppressed + more
        _log.warning(
            "dead_letter", code=letter.reason, listener=letter.listener, **shown, dead_letter_id=letter.dead_letter_id
        )
