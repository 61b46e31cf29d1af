"""DeviceSession: one live connection of one device, without I/O.

Place in the walk: the face hands in bytes (or whole frames) and a clock tick now and then; the session finds out which
product speaks, who it is, turns frames into Uplinks for the flow, and answers when their receipts are settled. It asks
its host to write, to close, and to hold back reading; it never waits.

States: detecting (several products may speak here) -> waiting (for a login) -> admitted -> closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from decoders.csv_lines import HEADER
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.detect import Detector
from decoders.framing.framer import Framer
from decoders.framing.plan import Frame
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.types import Identity, SessionContext
from gateway.domain.device import Device, DeviceKey
from gateway.domain.errors import CloseReason, RefuseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.uplink import Uplink
from gateway.protocol.ack_order import AckOrder
from gateway.protocol.session_ports import SessionHost, SessionPorts, TrafficCounts

__all__ = ["UNDETECTED", "DeviceSession", "SessionState"]

UNDETECTED = "unknown"
"""Label of traffic before it is clear which product speaks."""

MAX_GREETINGS = 32
"""Messages of one session that are answered before anybody has a name."""

_NOT_KEPT = frozenset({RefuseReason.OUTBOX_FULL.value, RefuseReason.SINK_FAILED.value})


class SessionState(StrEnum):
    DETECTING = "detecting"
    WAITING = "waiting"
    ADMITTED = "admitted"
    CLOSED = "closed"


class DeviceSession:
    """One connection's device.

    products: who may speak here; with one there is nothing to detect. opened_ms: of the clock behind `on_clock`.
    certified: whom the connection's client certificate names, as `AdmissionPort` takes it.
    active: set with every read, cleared by `on_clock`: all that the idle timeout costs on the hot path.
    device: who it is, once admitted. refusal: why access was refused. frames: how many were cut from the stream.
    """

    __slots__ = (
        "_answering",
        "_backlog",
        "_bad_frames",
        "_busy",
        "_certified",
        "_closed",
        "_context",
        "_detector",
        "_finish",
        "_framer",
        "_garbage_seen",
        "_greetings",
        "_held",
        "_name",
        "_on_settled",
        "_order",
        "_overlong_seen",
        "_ports",
        "_product",
        "_products",
        "_since_ms",
        "_traffic",
        "_undetected_bytes",
        "active",
        "device",
        "frames",
        "host",
        "peer",
        "product_id",
        "refusal",
        "session_id",
    )

    def __init__(
        self,
        products: Sequence[CompiledProduct],
        ports: SessionPorts,
        host: SessionHost,
        *,
        session_id: str,
        peer: str,
        opened_ms: int,
        certified: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.peer = peer
        self.host = host
        self.product_id = ""
        self.device: Device | None = None
        self.refusal: RefuseReason | None = None
        self.frames = 0
        self.active = False
        self._ports = ports
        self._certified = certified
        self._since_ms = opened_ms
        self._closed = False
        self._finish: CloseReason | None = None

        # Which product speaks; the last three stand once it is known
        self._products = {product.id: product for product in products}
        self._detector: Detector | None = None
        self._undetected_bytes = 0
        self._framer: Framer | None = None
        self._product: CompiledProduct
        self._traffic: TrafficCounts

        # Who it is, and how well it behaves
        self._name = ""  # the id by which the device named itself
        self._context = SessionContext()
        self._answering = SessionContext()  # what replies may read; by the uplink, since the device may have changed
        self._bad_frames = 0
        self._greetings = 0
        self._garbage_seen = 0
        self._overlong_seen = 0

        # What is under way
        self._order = AckOrder()
        self._backlog: deque[tuple[Frame, int]] = deque()  # frames cut and not taken in, with their time of arrival
        self._busy = False  # in `_go_on`: receipts that settle meanwhile are seen by it
        self._held = False
        self._on_settled = self._receipt_settled  # bound once

        if len(products) == 1:
            self._speak(products[0], Framer(products[0].framing))
        else:
            candidates = [(product.id, product.framing) for product in products]
            self._detector = Detector(candidates, self._sounds_right, max_garbage=ports.limits.max_garbage_bytes)

    @property
    def state(self) -> SessionState:
        if self._closed:
            return SessionState.CLOSED
        if self._framer is None:
            return SessionState.DETECTING
        return SessionState.WAITING if self.device is None else SessionState.ADMITTED

    @property
    def in_flight(self) -> int:
        """Uplinks taken in and not answered."""
        return len(self._order.waiting)

    @property
    def unfinished_bytes(self) -> int:
        """Bytes that have not become a frame yet."""
        return self._undetected_bytes if self._framer is None else self._framer.buffered

    def facts(self) -> dict[str, object]:
        """What the log line at the end of its connection tells of it."""
        facts: dict[str, object] = {"product": self.product_id, "frames": self.frames}
        if self.device is not None:
            facts |= {"device_id": self.device.key.device_id, "tenant": self.device.key.tenant}
        if self.refusal is not None:
            facts["refusal"] = self.refusal.value
            if self.refusal is not RefuseReason.NOT_IDENTIFIED:  # an id that is none may be of any length
                facts["said"] = self._name
        if self.unfinished_bytes:
            facts["unfinished_bytes"] = self.unfinished_bytes
        return facts

    # Bytes in

    def receive_bytes(self, data: bytes, now_ms: int) -> None:
        """Takes what was read. now_ms: Unix ms of arrival."""
        if self._closed or self._finish is not None:
            return
        self.active = True
        framer = self._framer
        if framer is None:
            self._detect(data, now_ms)
            return
        frames = framer.receive(data)
        if frames:
            self.receive_frames(frames, now_ms)
        if framer.garbage != self._garbage_seen or framer.overlong != self._overlong_seen:
            self._count_garbage(framer)

    def receive_frames(self, frames: Sequence[Frame], now_ms: int) -> None:
        """Takes whole frames that arrived together, also from a transport that is no stream."""
        traffic = self._traffic
        self.frames += len(frames)
        traffic.frames += len(frames)
        for frame in frames:
            traffic.frame_bytes += len(frame.wire)
            self._backlog.append((frame, now_ms))
        self._go_on()

    def _detect(self, data: bytes, now_ms: int) -> None:
        detector = self._detector
        assert detector is not None
        self._undetected_bytes += len(data)
        found = detector.receive(data)
        if found is not None:
            self._detector = None
            self._speak(self._products[found.name], found.framer)
            self._traffic.garbage_bytes += detector.garbage - found.framer.garbage  # frames that did not sound right
            self.receive_frames(found.frames, now_ms)
            self._count_garbage(found.framer)
        elif detector.failed:
            self._ports.traffic(UNDETECTED).garbage_bytes += self._undetected_bytes
            self.close(CloseReason.UNKNOWN_PROTOCOL)

    def _speak(self, product: CompiledProduct, framer: Framer) -> None:
        """From now on it is known which product speaks here."""
        self.product_id = product.id
        self._product = product
        self._framer = framer
        self._traffic = self._ports.traffic(product.id)

    def _sounds_right(self, name: str, frame: Frame) -> bool:
        return self._products[name].sound(frame)

    def _count_garbage(self, framer: Framer) -> None:
        traffic = self._traffic
        traffic.garbage_bytes += framer.garbage - self._garbage_seen
        self._garbage_seen = framer.garbage
        overlong = framer.overlong - self._overlong_seen
        self._overlong_seen = framer.overlong
        if overlong:
            traffic.decode_errors[DecodeCode.FRAME_TOO_LONG.value] += overlong
            self._count_bad_frames(overlong, CloseReason.FRAME_TOO_LONG)
        if framer.garbage_run > self._ports.limits.max_garbage_bytes:
            self.close(CloseReason.GARBAGE)

    # One frame

    def _receive_frame(self, frame: Frame, now_ms: int) -> None:
        product = self._product
        context = self._context
        context.received_ms = now_ms
        try:
            decoded = product.decode(frame, context)
        except DecodeError as error:
            self._receive_undecoded(frame, error, now_ms)
            return
        if decoded.message.name == HEADER:  # it only says how the lines behind it read
            if self._ports.tap.enabled:
                self._ports.tap.frame(self.session_id, "in", frame.wire, HEADER)
            return
        identity = product.login(decoded) if self.device is None else product.identity(decoded)
        if identity is not None:
            # A hub speaks for the devices behind it: then the connection is the hub's.
            name = identity.hub_id or identity.device_id
            if name and name != self._name:
                self._log_in(frame, decoded, identity, name, now_ms)
                return
        if decoded.message.session:
            product.remember(decoded, context)
        if self.device is None:
            self._receive_unnamed(frame, decoded, now_ms)
            return
        self._bad_frames = 0
        self._send_up(frame, self.device, now_ms, decoded, None)

    def _receive_unnamed(self, frame: Frame, decoded: Decoded, now_ms: int) -> None:
        """A message of somebody who has not said a name. One that leaves nothing to keep and has an answer (a
        handshake, a ping) gets it, as often as devices need that; all others are refused."""
        message = decoded.message
        rejected = bool(decoded.violations) and message.policy == "reject"
        greets = message.record == "none" and not rejected and self._product.answers(message.name)
        if not greets or self._greetings >= MAX_GREETINGS:
            self._refuse(frame, RefuseReason.NOT_IDENTIFIED)
            self._count_bad_frames(1, CloseReason.TOO_MANY_BAD_FRAMES)
            return
        self._greetings += 1
        nobody = Device(DeviceKey(self._ports.tenant, ""), known=False)
        self._ports.flow.accept(self._take_in(frame, nobody, now_ms, decoded, None).receipt)

    def _receive_undecoded(self, frame: Frame, error: DecodeError, now_ms: int) -> None:
        self._traffic.decode_errors[error.code.value] += 1
        if self.device is None:
            # Raw bytes are kept only for those who have said who they are: anyone can send to an open port.
            self._refuse(frame, RefuseReason.NOT_IDENTIFIED)
            self._count_bad_frames(1, CloseReason.TOO_MANY_BAD_FRAMES)
            return
        self._send_up(frame, self.device, now_ms, None, error)
        if _is_sound(error):
            self._bad_frames = 0
        else:
            self._count_bad_frames(1, CloseReason.TOO_MANY_BAD_FRAMES)

    def _send_up(
        self, frame: Frame, device: Device, now_ms: int, decoded: Decoded | None, error: DecodeError | None
    ) -> None:
        self._ports.flow.receive(self._take_in(frame, device, now_ms, decoded, error))

    def _take_in(
        self, frame: Frame, device: Device, now_ms: int, decoded: Decoded | None, error: DecodeError | None
    ) -> Uplink:
        """Makes an uplink of a frame, with its place in the order of answers."""
        ports = self._ports
        if ports.tap.enabled:
            ports.tap.frame(self.session_id, "in", frame.wire, decoded.message.name if decoded else str(error))
        uplink = Uplink(
            ports.make_id(now_ms),
            frame.wire,
            now_ms,
            self._product,
            device,
            Receipt(self._on_settled),
            ports.listener,
            self.session_id,
            self.peer,
            decoded,
            error,
            self._context,
        )
        self._traffic.received += 1
        self._order.put(uplink)
        return uplink

    def _refuse(self, frame: Frame, reason: RefuseReason) -> None:
        """Counts an uplink that never gets an answer, so it needs no place in the order of answers."""
        if self._ports.tap.enabled:
            self._ports.tap.frame(self.session_id, "in", frame.wire, f"refused: {reason.value}")
        self._traffic.received += 1
        self._ports.flow.refuse(Receipt(self._on_settled), reason.value)

    def _count_bad_frames(self, count: int, reason: CloseReason) -> None:
        self._bad_frames += count
        if self._bad_frames >= self._ports.limits.max_bad_frames:
            self.close(reason)

    # Who it is

    def _log_in(self, frame: Frame, decoded: Decoded, identity: Identity, name: str, now_ms: int) -> None:
        """A device names itself: for the first time, or another one on the same connection."""
        ports = self._ports
        verdict = ports.admission.admit(identity, self._product.id, ports.tenant, self._certified)
        if isinstance(verdict, RefuseReason):
            self.refusal, self._name = verdict, name
            self._refuse(frame, verdict)
            self.close(CloseReason.REFUSED)
            return
        if self.device is not None and self.device.key != verdict.key:
            ports.place.release(self.device.key, self)
        other = bool(self._name)
        self._name = name
        self.device = verdict
        self._bad_frames = 0
        ports.place.take(verdict.key, self)

        before = self._context
        context = self._context = SessionContext(device_id=name, variant=verdict.variant, received_ms=now_ms)
        context.columns = before.columns  # of the connection, whoever speaks
        if not other:  # what was said before anybody had a name
            context.values |= before.values
        self._product.remember(decoded, context)
        if verdict.zone_s is not None:
            context.zone_s, context.zone_fixed = verdict.zone_s, True  # the directory knows better than the device
        if other or verdict.variant or verdict.zone_s is not None:
            # This frame was read with what was known of another device, or before the directory was asked.
            try:
                decoded = self._product.decode(frame, context)
            except DecodeError as error:
                self._receive_undecoded(frame, error, now_ms)
                return
        self._send_up(frame, verdict, now_ms, decoded, None)

    # Answers out

    def _receipt_settled(self, receipt: Receipt) -> None:
        """Called by the outbox, also long after the connection is gone: the sums balance all the same."""
        traffic = self._traffic
        outcome = receipt.outcome
        assert outcome is not None
        traffic.outcomes[outcome] += 1
        if outcome is Outcome.REFUSED:
            traffic.refused[receipt.reason] = traffic.refused.get(receipt.reason, 0) + 1
        if not self._busy:
            self._go_on()

    def _go_on(self) -> None:
        """Takes frames in and answers what is settled until neither moves, then tells the host what that changed."""
        if self._closed:
            return
        backlog = self._backlog
        waiting = self._order.waiting
        self._busy = True
        try:
            while True:
                while backlog and self._has_room():
                    frame, arrived_ms = backlog.popleft()
                    self._receive_frame(frame, arrived_ms)
                if not waiting or waiting[0].receipt.outcome is None:
                    break
                self._answer(self._order.take_settled())
        except Exception as error:  # this may run within the outbox, for which it would be a stranger's fault
            self.host.fail(error)
            self.close(CloseReason.INTERNAL_ERROR)
        finally:
            self._busy = False
        if backlog or self._held:
            self._hold_or_not()
        if self._finish is not None and not waiting and not backlog:
            self.close(self._finish)

    def _has_room(self) -> bool:
        """Whether one more frame may be taken in."""
        limits = self._ports.limits
        order = self._order
        return (
            self._ports.gate.open
            and len(order.waiting) < limits.frames_in_flight
            and order.waiting_bytes < limits.bytes_in_flight
        )

    def _hold_or_not(self) -> None:
        """Holds reading while frames wait; lets it go on below half of the limits, so that it does not flutter."""
        limits = self._ports.limits
        order = self._order
        held = bool(self._backlog)
        if self._held and not held:
            held = len(order.waiting) * 2 > limits.frames_in_flight or order.waiting_bytes * 2 > limits.bytes_in_flight
        if held is not self._held and not self._closed:
            self._held = held
            self.host.hold(held)

    def _answer(self, run: Sequence[Uplink]) -> None:
        now_ms = self._ports.unix_ms()
        context = self._answering
        replies: list[bytes] = []
        kept = True
        for uplink in run:
            receipt = uplink.receipt
            if receipt.outcome is Outcome.REFUSED:
                if receipt.reason in _NOT_KEPT:
                    kept = False
                    break
                continue
            decoded = uplink.decoded
            error = uplink.error
            context.device_id = uplink.device.key.device_id
            context.received_ms = uplink.received_ms
            if decoded is not None:
                replies += uplink.product.replies(decoded.message.name, decoded.values, context, now_ms, decoded.kind)
            elif error is not None and _is_sound(error):
                replies += uplink.product.replies(error.message, error.values, context, now_ms, error.kind)
        if replies:
            self._traffic.replies += len(replies)
            data = replies[0] if len(replies) == 1 else b"".join(replies)
            if self._ports.tap.enabled:
                self._ports.tap.frame(self.session_id, "out", data, "")
            self.host.write(data)
        if not kept:
            # Without an answer to this frame the device sends it again, and what came after it, in order.
            self.close(CloseReason.NOT_KEPT)

    # Time and the end

    def on_clock(self, now_ms: int) -> None:
        """Closes a session that did not log in, or has been silent for too long. now_ms: of a steady clock.

        A device that we do not read from, or that waits for our answers, is not silent.
        """
        limits = self._ports.limits
        active = self.active
        self.active = False
        if self._held or not self._ports.gate.open:
            self._since_ms = now_ms
        elif self.device is None:
            if limits.login_timeout_ms and now_ms - self._since_ms >= limits.login_timeout_ms:
                self.close(CloseReason.LOGIN_TIMEOUT)
        elif active or self._order.waiting:
            self._since_ms = now_ms
        elif limits.idle_timeout_ms and now_ms - self._since_ms >= limits.idle_timeout_ms:
            self.close(CloseReason.IDLE_TIMEOUT)

    def set_blocked(self, blocked: bool) -> None:
        """The peer does not read its answers, or does again: it is then not read from, and answers are all it gets."""

    def resume(self) -> None:
        """The gate has opened: takes in what was held back."""
        if not self._busy:
            self._go_on()

    def finish(self, reason: CloseReason) -> None:
        """Takes no more bytes; closes as soon as everything that was read is answered."""
        if not self._closed and self._finish is None:
            self._finish = reason
            if not self._busy:
                self._go_on()

    def close(self, reason: CloseReason) -> None:
        """Ends the session and its connection. Uplinks in flight still settle and are counted."""
        if not self._closed:
            self.lost()
            self.host.close(reason)

    def lost(self) -> None:
        """The connection is gone."""
        if self._closed:
            return
        self._closed = True
        self._backlog.clear()
        self._order.clear()
        if self.device is not None:
            self._ports.place.release(self.device.key, self)


def _is_sound(error: DecodeError) -> bool:
    """Whether the frame came as it was sent and only its meaning is unclear: then it is answered, being kept."""
    return error.code is not DecodeCode.BAD_CHECK and bool(error.values)
