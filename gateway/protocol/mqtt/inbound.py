"""Inbound: one thing that a client sent and waits to be answered.

Place in the walk: a PUBLISH gets its place in the session's order before the flow sees it, and leaves it when it is
settled, handed to the subscribers and answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Receipt
from gateway.protocol.mqtt.packets import Publish, ReasonCode

__all__ = ["Connection", "Inbound"]


class Connection(Protocol):
    """The connection of a session; `gateway.protocol.mqtt.client.ClientMachine` is one."""

    def ack(self, publish: Publish, receipt: Receipt) -> None:
        """Answers a publish of QoS 1 or 2 by its settled receipt."""
        ...

    def resume(self) -> None:
        """The session has something that is settled, or there is room again: goes on."""
        ...

    def end(self, reason: CloseReason, code: ReasonCode, detail: str) -> None:
        """Ends session and connection; 5.0 clients are told code and detail."""
        ...


class Inbound(Receipt):
    """It is the receipt of its own publish or states, which saves an object a publish.

    awaits: the receipt whose outcome counts: None is its own; of the first copy for one that came again; of the states
    that came of handing it on. publish: None for what is no publish. handed: it has been given to the subscribers, or
    is not to be. then: of what is no publish: told whether it is kept.
    connection: that it came by. size: bytes it counts for.
    """

    __slots__ = ("awaits", "connection", "handed", "packet_id", "publish", "size", "then")

    def __init__(
        self, on_settled: Callable[[Receipt], None], connection: Connection | None, publish: Publish | None, size: int
    ) -> None:
        # The fields of Receipt are set here, since this is built once a publish.
        self.outcome = None
        self.reason = self.detail = ""
        self.pending = 0
        self.on_settled = on_settled
        self.on_sink = None
        self.awaits: Receipt | None = None
        self.connection = connection
        self.publish = publish
        self.handed = False
        self.packet_id = 0
        self.then: Callable[[bool], None] | None = None
        self.size = size
