"""Broker: all sessions, and what passes between them.

Place in the walk: behind the client machines. It opens sessions for admitted clients (the newcomer takes over), gives
publishes whose receipts are settled to subscribers, retains, keeps wills and their delays, ends sessions whose time is
over, and hands downlinks to one client. A broker is one space of client ids and topics: tenants that must not see each
other have one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Receipt
from gateway.domain.state import State
from gateway.protocol.mqtt import states
from gateway.protocol.mqtt.inbound import Connection
from gateway.protocol.mqtt.message import Delivery, Message
from gateway.protocol.mqtt.outbound import Carrier
from gateway.protocol.mqtt.packets import V5, Connect, Properties, Publish, ReasonCode, Subscription, Will
from gateway.protocol.mqtt.ports import (
    NEVER_S,
    BrokerPorts,
    Denial,
    DownlinkOutcome,
    DropReason,
    Grant,
    OnDelivered,
    Sender,
)
from gateway.protocol.mqtt.retained import Retained
from gateway.protocol.mqtt.routing import deliveries, member
from gateway.protocol.mqtt.session import Held, Session
from gateway.protocol.mqtt.topic_tree import TopicTree
from gateway.protocol.mqtt.topics import split_share

__all__ = ["Broker", "Writer"]

_MAX_DOWNLINKS = 100_000


class Writer(Protocol):
    def flush(self) -> None: ...


class Broker:
    """sessions: by client id. `on_clock` is called about once a second."""

    def __init__(self, ports: BrokerPorts) -> None:
        self.ports = ports
        self.counts = ports.counts
        self.limits = ports.limits
        self.sessions: dict[str, Session] = {}
        self.tree: TopicTree[Session, Held] = TopicTree()
        self.retained = Retained(ports.limits, ports.counts)
        self._steady_ms = ports.steady_ms
        self._wills: dict[Session, tuple[int, Will]] = {}  # when they are due (steady clock)
        self._downlinks: dict[Delivery, Session] = {}  # with a deadline
        self._next_end_ms: float = float("inf")  # no session ends before
        self._due: list[Session] = []
        self._writers: list[Writer] = []
        self._asked = False

    # Sessions

    def open(
        self, connection: Connection, carrier: Carrier, connect: Connect, client_id: str, sender: Sender
    ) -> tuple[Session, bool] | Denial:
        """A client that was admitted: its session, and whether it was there before (session present). An older
        connection of that client id is ended (MQTT-3.1.4-3). Nothing is sent before `resume`."""
        counts = self.counts
        session = self.sessions.get(client_id)
        if session is None and len(self.sessions) >= self.limits.max_sessions:
            return Denial(ReasonCode.SERVER_BUSY, "too many sessions")
        if session is not None and session.connection is not None:
            counts.takeovers += 1
            session.connection.end(
                CloseReason.TAKEOVER, ReasonCode.SESSION_TAKEN_OVER, "the same client id has connected again"
            )
            session = self.sessions.get(client_id)  # it may have ended with its connection
        if session is not None and connect.clean_start:  # MQTT-3.1.2-4
            self._end(session)
            session = None
        present = session is not None
        if session is None:
            session = self.new_session(client_id)
        elif (pending := self._wills.get(session)) is not None and pending[0] > self._steady_ms():
            del self._wills[session]  # it is back before the delay is over (MQTT-3.1.3-9)
        was_persistent = session.persistent
        session.sender = sender
        session.expiry_s = self._expiry_s(connect)
        session.will = connect.will
        session.connection = connection
        session.outbound.carrier = carrier
        session.ends_ms = 0
        counts.connects += 1
        counts.connected += 1
        if session.persistent:
            self._remember(states.opened(client_id, session.expiry_s, 0, afresh=not present))
        elif was_persistent:
            self._remember(states.ended(client_id))
        return session, present

    def resume(self, session: Session) -> None:
        """CONNACK is written: what waits for the client may follow."""
        session.outbound.resume(self._steady_ms())

    def lost(self, session: Session, connection: Connection, *, clean: bool) -> None:
        """A connection has ended; clean: with a DISCONNECT that discards the will (MQTT-3.1.2-10, MQTT-3.14.4-3)."""
        if session.connection is not connection:
            return
        session.connection = None
        self.counts.connected -= 1
        session.outbound.pause()
        now_ms = self._steady_ms()
        will, session.will = session.will, None
        if will is not None and not clean:
            delay_s = 0
            if will.properties is not None:
                delay_s = min(will.properties.will_delay_interval or 0, session.expiry_s)
            self._put_will(session, will, now_ms + delay_s * 1000)
        if not session.persistent:
            self._end(session)
        else:
            self._away(session, now_ms)

    def set_expiry(self, session: Session, expiry_s: int) -> None:
        """A DISCONNECT has changed it (5.0 section 3.14.2.2.2)."""
        if session.persistent and not expiry_s:
            self._remember(states.ended(session.client_id))
        session.expiry_s = self._capped(expiry_s)

    def new_session(self, client_id: str) -> Session:
        session = Session(client_id, self, self.ports.flow, self.limits, self.counts)
        self.sessions[client_id] = session
        self.counts.sessions += 1
        return session

    def ends_at(self, session: Session, ends_ms: int) -> None:
        """The client is away; its session ends then unless it comes back (steady clock; 0: never)."""
        session.ends_ms = ends_ms
        if ends_ms:
            self._next_end_ms = min(self._next_end_ms, ends_ms)

    def forget(self, session: Session) -> None:
        """Takes a session out, with its subscriptions and its queue."""
        del self.sessions[session.client_id]
        self.counts.sessions -= 1
        for topic_filter in session.subscriptions:
            self.tree.drop(topic_filter, session)
        session.subscriptions.clear()
        session.outbound.end()

    def _away(self, session: Session, now_ms: int) -> None:
        never = session.expiry_s == NEVER_S
        self.ends_at(session, 0 if never else now_ms + session.expiry_s * 1000)
        ends_unix_ms = 0 if never else self.ports.unix_ms() + session.expiry_s * 1000
        self._remember(states.closed(session.client_id, session.expiry_s, ends_unix_ms))

    def _end(self, session: Session) -> None:
        pending = self._wills.get(session)
        if pending is not None and pending[0] > self._steady_ms():  # MQTT-3.1.2-8: at its session's end at the latest
            self._put_will(session, pending[1], self._steady_ms())
        shared = session.outbound.take_shared()
        self.forget(session)
        if session.persistent:
            self._remember(states.ended(session.client_id))
        for delivery in shared:
            self._share_again(delivery)

    def _share_again(self, delivery: Delivery) -> None:
        """Its member's session has ended before it was answered: another member gets it (5.0 section 4.8.2)."""
        for group in self.tree.match(delivery.message.topic).groups:
            if (group.name, group.topic_filter) != delivery.share:
                continue
            if (chosen := member(group, delivery.message)) is not None:
                session, again = chosen
                state = session.put(again)
                if state is not None:
                    self._remember(state)
                session.outbound.drain(self._steady_ms())
                return
        self.counts.dropped[DropReason.SESSION_ENDED] += 1

    def _expiry_s(self, connect: Connect) -> int:
        if connect.version != V5:
            return 0 if connect.clean_start else self.limits.max_expiry_s
        said = connect.properties
        return self._capped((said.session_expiry_interval or 0) if said is not None else 0)

    def _capped(self, expiry_s: int) -> int:
        return min(expiry_s, self.limits.max_expiry_s)

    # Subscriptions

    def subscribe(
        self, session: Session, wanted: Subscription, identifier: int, *, search: bool = True
    ) -> tuple[ReasonCode, list[Message], State | None]:
        """One allowed filter. Returns what was granted, which retained messages the client gets, and what has to be
        durable before it is told so. search: False finds no retained messages, for there are enough."""
        topic_filter = wanted.topic_filter
        group, plain_filter = split_share(topic_filter)
        known = topic_filter in session.subscriptions
        if not known and len(session.subscriptions) >= self.limits.max_subscriptions:
            return ReasonCode.QUOTA_EXCEEDED, [], None
        self.hold(session, wanted, identifier)
        retained: list[Message] = []
        if not group and (wanted.retain_handling == 0 or (wanted.retain_handling == 1 and not known)):
            if session.outbound.full or not search:  # then searching would be work for nothing
                self.counts.dropped[DropReason.QUEUE_FULL] += 1
            else:
                retained = self.retained.find(plain_filter, self._steady_ms())
        state = states.subscribed(session.client_id, wanted, identifier) if session.persistent else None
        return ReasonCode(wanted.qos), retained, state

    def hold(self, session: Session, wanted: Subscription, identifier: int) -> None:
        """Adds or replaces a subscription (MQTT-3.8.4-3)."""
        held = Held(wanted.qos, wanted.no_local, wanted.retain_as_published, wanted.retain_handling, identifier)
        session.subscriptions[wanted.topic_filter] = held
        self.tree.put(wanted.topic_filter, session, held)

    def send_retained(self, session: Session, held: Held, messages: Sequence[Message]) -> None:
        """To a new subscription, with the retain flag (3.1.1: MQTT-3.3.1-8)."""
        identifiers = (held.identifier,) if held.identifier else ()
        now_ms = self._steady_ms()
        kept: list[State] = []
        for place, message in enumerate(messages):
            if session.outbound.full:
                self.counts.dropped[DropReason.QUEUE_FULL] += len(messages) - place
                break
            if held.no_local and message.publisher == session.client_id:
                continue
            state = session.put(Delivery(message, min(message.qos, held.qos), True, identifiers))
            if state is not None:
                kept.append(state)
            session.outbound.drain(now_ms)
        self._remember(*kept)

    def unsubscribe(self, session: Session, topic_filter: str) -> tuple[ReasonCode, State | None]:
        if session.subscriptions.pop(topic_filter, None) is None:
            return ReasonCode.NO_SUBSCRIPTION_EXISTED, None
        self.tree.drop(topic_filter, session)
        state = states.unsubscribed(session.client_id, topic_filter) if session.persistent else None
        return ReasonCode.SUCCESS, state

    def narrow(self, session: Session, grant: Grant) -> None:
        """Ends subscriptions that a session brought along and its client may not have any more."""
        for topic_filter in list(session.subscriptions):
            if not grant.may_subscribe(split_share(topic_filter)[1]):
                _, state = self.unsubscribe(session, topic_filter)
                if state is not None:
                    self._remember(state)

    # Messages

    def hand_on(self, publish: Publish, publisher: str) -> Sequence[State]:
        """Implements `Exchange`."""
        self.counts.publishes += 1
        match = self.tree.match(publish.topic)
        if not match.plain and not match.groups and not publish.retain:
            return ()
        now_ms = self._steady_ms()
        message = Message(publish, publisher, now_ms)
        due: list[State] = []
        if publish.retain and self.retained.put(message):
            due.append(states.retained(publisher, message, self.unix_of(message.expires_ms)))
        for session, delivery in deliveries(match, message):
            state = session.put(delivery)
            if state is not None:
                due.append(state)
            session.outbound.drain(now_ms)
        return due

    def publish(
        self,
        client_id: str,
        topic: str,
        payload: bytes,
        qos: int,
        timeout_ms: int,
        on_done: OnDelivered,
        *,
        properties: Properties | None = None,
    ) -> None:
        """A downlink to one client that is connected now, whatever it subscribes to. `on_done` is called once, maybe
        before this returns. It does not outlive the process; over a short loss of the connection it waits on, if the
        session does."""
        session = self.sessions.get(client_id)
        if session is None or session.connection is None:
            on_done(DownlinkOutcome.OFFLINE, ReasonCode.UNSPECIFIED_ERROR)
            return
        now_ms = self._steady_ms()
        delivery = Delivery(Message(Publish(topic, payload, qos, properties=properties), "", now_ms), qos)

        def done(outcome: DownlinkOutcome, reason: ReasonCode) -> None:
            self._downlinks.pop(delivery, None)
            on_done(outcome, reason)

        delivery.on_done = done
        delivery.deadline_ms = now_ms + timeout_ms
        if len(self._downlinks) >= _MAX_DOWNLINKS or not session.outbound.put(delivery):
            on_done(DownlinkOutcome.GONE, ReasonCode.QUOTA_EXCEEDED)
            return
        self._downlinks[delivery] = session
        session.outbound.drain(now_ms)

    def unix_of(self, steady_ms: int) -> int:
        """Implements `Exchange`."""
        return self.ports.unix_ms() + steady_ms - self._steady_ms() if steady_ms else 0

    def steady_of(self, unix_ms: int) -> int:
        """The other way round; a time that is over becomes 1."""
        return max(self._steady_ms() + unix_ms - self.ports.unix_ms(), 1) if unix_ms else 0

    # Wills

    def _put_will(self, session: Session, will: Will, due_ms: int) -> None:
        if due_ms <= self._steady_ms() and self.ports.gate.open:
            self._wills.pop(session, None)
            self._publish_will(session, will)
            return
        full = len(self._wills) >= self.limits.max_sessions and session not in self._wills
        if full or (session in self._wills and self._wills[session][1] is not will):
            self.counts.dropped[DropReason.WILL_REFUSED] += 1
        if not full:
            self._wills[session] = (due_ms, will)

    def _publish_will(self, session: Session, will: Will) -> None:
        self.counts.wills += 1
        publish = Publish(will.topic, will.payload, will.qos, will.retain, properties=will.properties)
        session.take_will(publish, self.ports.unix_ms())

    def publish_wills(self) -> None:
        """Publishes the wills that wait for their delay: the process ends, and they would end with it."""
        wills, self._wills = self._wills, {}
        for session, (_, will) in wills.items():
            self._publish_will(session, will)

    # Time and turns

    def on_clock(self, now_ms: int) -> None:
        """Publishes wills whose delay is over, ends sessions and downlinks whose time is over. now_ms: steady clock."""
        if self._wills and self.ports.gate.open:
            for session, (due_ms, will) in list(self._wills.items()):
                if due_ms <= now_ms:
                    del self._wills[session]
                    self._publish_will(session, will)
        for delivery, session in list(self._downlinks.items()):
            if delivery.deadline_ms <= now_ms:
                session.outbound.time_out(delivery)
        if now_ms >= self._next_end_ms:
            self._end_old(now_ms)

    def _end_old(self, now_ms: int) -> None:
        self._next_end_ms = float("inf")
        for session in list(self.sessions.values()):
            if session.connection is not None or not session.ends_ms:
                continue
            if session.ends_ms <= now_ms:
                self._end(session)
            else:
                self._next_end_ms = min(self._next_end_ms, session.ends_ms)

    def due(self, session: Session) -> None:
        """Implements `Exchange`."""
        if not session.in_turn:
            session.in_turn = True
            self._due.append(session)
            self._ask()

    def writes(self, writer: Writer) -> None:
        """The connection has output to be written at the end of this turn."""
        self._writers.append(writer)
        self._ask()

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.ports.soon(self._turn)

    def _turn(self) -> None:
        """Everything that was settled by one commit is answered here, so that each connection writes once."""
        self._asked = False
        due, self._due = self._due, []
        for session in due:
            session.in_turn = False
            try:
                if session.connection is not None:
                    session.connection.resume()
                else:
                    session.answer_settled()
                if session.outbound.done:
                    self._remember(states.done(session.client_id, session.outbound.done))
                    session.outbound.done.clear()
            except Exception as error:  # one session's fault is not the others'
                self.ports.fail(error)
        writers, self._writers = self._writers, []
        for writer in writers:
            try:
                writer.flush()
            except Exception as error:
                self.ports.fail(error)

    def _remember(self, *kept: State) -> None:
        """Makes states durable that nobody waits for: losing one only repeats something."""
        if kept:
            self.ports.flow.keep(Receipt(), kept)
