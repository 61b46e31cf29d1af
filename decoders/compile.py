"""One spec, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decoders.framing.plan import Frame, Framing
from decoders.types import Decoded, Identity, SessionContext


@dataclass(slots=True)
class MessagePlan:
    """What is fixed about one message of a product.

    record: `telemetry`, `event`, ... or `none` (settles at once, makes no record).
    login: the message names the device (an `identity: device` field); the session keeps what it says.
    """

    name: str
    record: str
    login: bool


class CompiledProduct:
    """One spec (one variant of it), ready to run. Immutable; shared by all sessions.

    `decode` never raises anything but DecodeError, whose `values` hold at least header and trailer where the frame
    itself was sound (right length and check value).
    """

    id: str
    version: int
    digest: str
    framing: Framing

    def decode(self, frame: Frame, context: SessionContext) -> Decoded:
        raise NotImplementedError

    def identity(self, decoded: Decoded) -> Identity | None:
        """Who the frame says it is from, or None when it says nothing."""
        raise NotImplementedError

    def remember(self, decoded: Decoded, context: SessionContext) -> None:
        """Puts what a login says (device id, zone, values) into the session's context."""
        raise NotImplementedError

    def replies(self, message: str, values: dict[str, Any], context: SessionContext, now_ms: int) -> list[bytes]:
        """The spec's replies to a message with these values, as wire bytes, in order; [] when there are none.

        message "" or unknown: the product's `unknown_message` replies. Values that a reply needs and that are not
        there (a frame that failed to decode): that reply is left out.
        """
        raise NotImplementedError
