"""The second stage: does the message keep its product's data contract?

The decoder has noted every breach beside the values. With `policy: flag` they stay in the record as flags; with
`policy: reject` the uplink becomes a dead letter.
"""

from __future__ import annotations

from decoders.contract import BREACHES
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import DeadLetterReason
from gateway.domain.uplink import Uplink
from gateway.pipeline.decode import dead_letter

__all__ = ["validate"]


def validate(uplink: Uplink) -> DeadLetter | None:
    """A letter (`contract`) that names every breach, or None."""
    decoded = uplink.decoded
    if decoded is None or not decoded.violations or decoded.message.policy != "reject":
        return None
    breaches = [violation for violation in decoded.violations if violation.code in BREACHES]
    if not breaches:
        return None
    detail = ", ".join(f"{violation.field}: {violation.code.value}" for violation in breaches)
    letter = dead_letter(uplink, DeadLetterReason.CONTRACT.value, "validate", detail)
    letter.field = breaches[0].field
    return letter
