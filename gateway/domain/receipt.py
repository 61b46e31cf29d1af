"""The promise about one Uplink.

Rule 1: a Receipt is created with its Uplink, settled exactly once, and only by `gateway.delivery.outbox`.
Rule 2: no byte that means "I have it" leaves before its receipt is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Outcome(StrEnum):
    """How an Uplink ended. All but REFUSED mean: it is kept, the sender may forget it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    REFUSED = "refused"


class Receipt:
    """Settled once with an Outcome. `on_settled` is called then, synchronously, on the event loop."""

    __slots__ = ("detail", "on_settled", "on_sink", "outcome", "pending", "reason")

    def __init__(self, on_settled: Callable[[Receipt], None] | None = None) -> None:
        self.outcome: Outcome | None = None
        self.reason: str = ""  # why it was refused or dead-lettered; "" otherwise
        self.detail: str = ""  # what its dead letter says besides
        self.pending: int = 0  # records of this uplink that are not durable yet; the outbox counts it down
        self.on_settled = on_settled
        self.on_sink: bool | None = (
            None  # whether it waits for the sinks; None: as the gateway is configured (`ack_on`)
        )

    @property
    def kept(self) -> bool:
        """True once the gateway has taken responsibility for the data."""
        return self.outcome is not None and self.outcome is not Outcome.REFUSED
