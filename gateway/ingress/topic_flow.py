"""TopicFlow: what becomes of a message under a topic: read, then each of its uplinks through pipeline and outbox.

Place in the walk: behind every face that has topics. One receipt stands for the whole message: it settles when all of
its uplinks have, as the worst of them, and what must be remembered with it (an MQTT packet id) becomes durable last,
so that it never outlives what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from gateway.domain.errors import RefuseReason
from gateway.domain.ports import FrameTap, LearningDirectory, OutboxPort, PresencePort, TopicReaderPort, UplinkFlow
from gateway.domain.reading import Reading, Refused
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.domain.uplink import Uplink
from gateway.observe.metrics import Metrics, TrafficCounters
from gateway.protocol.device_session import UNDETECTED

__all__ = ["Counted", "Several", "TopicFlow", "count_outcome"]

_log = structlog.get_logger(__name__)

_NO_UPLINK = "no template of the gateway knows this topic: nothing was recorded"

_REFUSED = Outcome.REFUSED  # the member of an enum takes longer to look up than a name
_SEVERITY = {Outcome.DUPLICATE: 0, Outcome.ACCEPTED: 1, Outcome.DEAD_LETTERED: 2, Outcome.REFUSED: 3}


class TopicFlow:
    """Implements `TopicFlowPort`."""

    __slots__ = ("_directory", "_flow", "_metrics", "_outbox", "_presence", "_reader", "_tap", "_traffic")

    def __init__(
        self,
        reader: TopicReaderPort,
        flow: UplinkFlow,
        outbox: OutboxPort,
        presence: PresencePort,
        directory: LearningDirectory,
        metrics: Metrics,
        tap: FrameTap,
    ) -> None:
        self._reader = reader
        self._flow = flow
        self._outbox = outbox
        self._presence = presence
        self._directory = directory
        self._metrics = metrics
        self._tap = tap
        self._traffic: dict[tuple[str, str], TrafficCounters] = {}

    def receive(self, message: TopicMessage, receipt: Receipt, states: Sequence[State] = ()) -> None:
        found = self._reader.read(message)
        if self._tap.enabled:
            self._tap.frame(message.session_id, "in", message.payload, f"{message.topic}: {_note(found)}")
        if found.__class__ is Uplink:
            self._send_up(found, receipt, states)
            return
        try:
            if found is None:
                receipt.detail = _NO_UPLINK
                self._outbox.put(receipt, (), states)
            elif isinstance(found, Refused):
                self._refuse(message, found, receipt)
            elif isinstance(found, Reading):
                self._receive_reading(message, found, receipt, states)
        except Exception:
            said = {"listener": message.listener, "session_id": message.session_id}
            _log.exception("topic_flow_failed", topic=message.topic, **said)
            if receipt.outcome is None and not receipt.pending:
                self._outbox.settle(receipt, Outcome.REFUSED, RefuseReason.SINK_FAILED.value)

    def _send_up(self, uplink: Uplink, receipt: Receipt, states: Sequence[State]) -> None:
        """One uplink of its own, counted until its receipt settles."""
        traffic = self._traffic.get((uplink.listener, uplink.product.id))
        if traffic is None:
            traffic = self._counts(uplink.listener, uplink.product.id)
        traffic.frames += 1
        traffic.frame_bytes += len(uplink.raw)
        traffic.received += 1
        if uplink.error is not None:
            traffic.decode_errors[uplink.error.code.value] += 1
        receipt.on_settled = Counted(traffic, receipt.on_settled)
        uplink.receipt = receipt
        uplink.states = states
        self._flow.receive(uplink)

    def _refuse(self, message: TopicMessage, refused: Refused, receipt: Receipt) -> None:
        traffic = self._counts(message.listener, refused.product)
        traffic.frames += 1
        traffic.frame_bytes += len(message.payload)
        traffic.received += 1
        receipt.on_settled = Counted(traffic, receipt.on_settled)
        self._flow.refuse(receipt, refused.reason.value)

    def _receive_reading(
        self, message: TopicMessage, reading: Reading, receipt: Receipt, states: Sequence[State]
    ) -> None:
        for device in reading.learned:
            self._directory.learn(device)
        if reading.present is not None:
            key, online = reading.present
            (self._presence.online if online else self._presence.offline)(key, message.received_ms)
        uplinks = reading.uplinks
        if not uplinks:
            self._outbox.put(receipt, (), states)
        elif len(uplinks) == 1:
            self._send_up(uplinks[0], receipt, states)
        else:
            several = Several(self._outbox, receipt, states, len(uplinks))
            for uplink in uplinks:
                self._send_up(uplink, Receipt(several.settled), ())

    def _counts(self, listener: str, product: str) -> TrafficCounters:
        traffic = self._traffic.get((listener, product))
        if traffic is None:
            traffic = self._metrics.traffic(listener, product or UNDETECTED)
            self._traffic[listener, product] = traffic
        return traffic


class Counted:
    """Counts how an uplink ended, then tells who waits for it."""

    __slots__ = ("_tell", "_traffic")

    def __init__(self, traffic: TrafficCounters, tell: Callable[[Receipt], None] | None) -> None:
        self._traffic = traffic
        self._tell = tell

    def __call__(self, receipt: Receipt) -> None:
        count_outcome(self._traffic, receipt)
        if self._tell is not None:
            self._tell(receipt)


def count_outcome(traffic: TrafficCounters, receipt: Receipt, uplinks: int = 1) -> None:
    """Counts how an uplink ended, or several."""
    outcome = receipt.outcome
    assert outcome is not None
    traffic.outcomes[outcome] += uplinks
    if outcome is _REFUSED:
        traffic.refused[receipt.reason] = traffic.refused.get(receipt.reason, 0) + uplinks


class Several:
    """Several uplinks of one message: its receipt ends as the worst of theirs; its states follow when all are kept."""

    __slots__ = ("_left", "_outbox", "_receipt", "_states", "_worst")

    def __init__(self, outbox: OutboxPort, receipt: Receipt, states: Sequence[State], uplinks: int) -> None:
        self._outbox = outbox
        self._receipt = receipt
        self._states = states
        self._left = uplinks
        self._worst: Receipt | None = None

    def settled(self, receipt: Receipt) -> None:
        worst = self._worst
        if worst is None or _SEVERITY[_of(receipt)] > _SEVERITY[_of(worst)]:
            self._worst = receipt
        self._left -= 1
        if self._left:
            return
        assert self._worst is not None
        if self._states and self._worst.kept:
            self._outbox.put(Receipt(self._remembered), (), self._states)
        else:
            self._end()

    def _remembered(self, receipt: Receipt) -> None:
        if not receipt.kept:
            self._worst = receipt
        self._end()

    def _end(self) -> None:
        worst = self._worst
        assert worst is not None
        self._receipt.detail = worst.detail
        self._outbox.settle(self._receipt, _of(worst), worst.reason)


def _of(receipt: Receipt) -> Outcome:
    assert receipt.outcome is not None
    return receipt.outcome


def _note(found: Uplink | Reading | Refused | None) -> str:
    """What the tap tells about a message."""
    if found is None:
        return "no uplink"
    if isinstance(found, Refused):
        return f"refused: {found.reason.value} {found.detail}".rstrip()
    uplinks = [found] if isinstance(found, Uplink) else found.uplinks
    return ", ".join(_note_of(uplink) for uplink in uplinks) or "nothing to keep"


def _note_of(uplink: Uplink) -> str:
    if uplink.decoded is not None:
        return uplink.decoded.message.name
    if uplink.error is not None:
        return str(uplink.error)
    beside = uplink.beside
    if beside is not None and beside.failure is not None:
        return f"{beside.failure.reason}: {beside.failure.detail}"
    return beside.plain.type if beside is not None and beside.plain is not None else ""
