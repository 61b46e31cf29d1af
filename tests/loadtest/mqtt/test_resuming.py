"""Clients that resume: what they send again after the connection went, and what they do not put up with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
)
from loadtest.faults.processes import until
from loadtest.mqtt.resuming import Crew, Listener, Sender
from tests.loadtest.mqtt.scripted_broker import ScriptedBroker, Seat

VERSIONS = (V311, V5)


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        yield broker


def message(number: int) -> Publish:
    return Publish("t", b"%d" % number)


class Cut:
    """Leaves out the answer to the packet that comes as number `count` of its kind, and cuts the connection there;
    later ones are answered."""

    def __init__(self, kind: type[Packet], count: int) -> None:
        self.kind = kind
        self.left = count
        self.before: list[tuple[str, Packet]] = []

    def __call__(self, seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, self.kind) and self.left:
            self.left -= 1
            if not self.left:
                seat.transport.abort()
                return True
        return seat.transport.is_closing()


async def play(broker: ScriptedBroker, sender: Sender, crew: Crew, limit: int) -> None:
    crew.connect_to(broker.address)
    crew.add(sender)
    crew.send(True)
    await until(lambda: bool(crew.mistakes) or (sender.acknowledged == limit and sender.settled), "all is acknowledged")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
async def test_unanswered_publishes_come_again_with_dup_and_their_ids(
    broker: ScriptedBroker, version: int, qos: int
) -> None:
    cut = broker.take_over = Cut(Publish, 30)
    async with Crew() as crew:
        sender = Sender(crew, "c", version, qos, message, pause_s=0, limit=60)
        await play(broker, sender, crew, 60)
        assert crew.mistakes == []
    assert cut.left == 0
    publishes = broker.publishes("c")
    first = list(dict.fromkeys(publish.payload for publish in publishes))
    assert first == [b"%d" % number for number in range(1, 61)]
    again = [publish for publish in publishes if publish.dup]
    assert len(publishes) == 60 + len(again)
    assert 0 < len(again) <= sender.sent_again  # of QoS 2 some are released again instead
    ids = {publish.payload: publish.packet_id for publish in reversed(publishes)}
    assert all(ids[publish.payload] == publish.packet_id for publish in again)
    connects = [packet for _, packet in broker.packets if isinstance(packet, Connect)]
    assert [connect.clean_start for connect in connects] == [False, False]
    assert sender.resumed == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_was_received_is_released_again_and_not_published(broker: ScriptedBroker, version: int) -> None:
    broker.take_over = Cut(Pubrel, 25)
    async with Crew() as crew:
        sender = Sender(crew, "c", version, 2, message, pause_s=0, limit=60)
        await play(broker, sender, crew, 60)
        assert crew.mistakes == []
    releases = [packet for _, packet in broker.packets if isinstance(packet, Pubrel)]
    assert len(releases) > 60
    assert len(broker.publishes("c")) == 60


async def test_a_release_of_what_the_server_is_done_with_is_done(broker: ScriptedBroker) -> None:
    def answer(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Pubrel):
            seat.say(Pubcomp(packet.packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND))
        return isinstance(packet, Pubrel)

    broker.take_over = answer
    async with Crew() as crew:
        await play(broker, Sender(crew, "c", V5, 2, message, limit=9), crew, 9)
        assert crew.mistakes == []


async def test_no_burst_begins_that_was_not_asked_for(broker: ScriptedBroker) -> None:
    async with Crew() as crew:
        sender = Sender(crew, "c", V311, 1, message, pause_s=0)
        crew.add(sender)
        crew.connect_to(broker.address)
        await until(lambda: bool(broker.packets), "it connects")
        assert sender.sent == 0
        crew.send(True)
        await until(lambda: sender.acknowledged > 100, "it sends")
        crew.send(False)
        await until(lambda: sender.settled, "the last burst is answered")
        assert sender.sent == sender.acknowledged == len(broker.publishes("c"))


@pytest.mark.parametrize(
    ("qos", "wrong"),
    [
        (1, lambda packet: Puback(packet.packet_id + 1)),
        (1, lambda packet: Pubrec(packet.packet_id)),
        (1, lambda packet: Puback(packet.packet_id, ReasonCode.NOT_AUTHORIZED)),
        (2, lambda packet: Puback(packet.packet_id)),
        (2, lambda packet: Pubcomp(packet.packet_id)),
        (2, lambda packet: Pubrec(packet.packet_id, ReasonCode.QUOTA_EXCEEDED)),
        (2, lambda packet: Suback(1, [ReasonCode.GRANTED_QOS_1])),
    ],
)
async def test_an_answer_that_was_not_due_is_a_mistake(broker: ScriptedBroker, qos: int, wrong: object) -> None:
    def answer(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Publish):
            seat.say(wrong(packet))  # type: ignore[operator]
        return isinstance(packet, Publish)

    broker.take_over = answer
    async with Crew() as crew:
        sender = Sender(crew, "c", V5, qos, message, limit=5)
        await play(broker, sender, crew, 5)
        assert crew.mistakes
        assert sender.acknowledged == 0


async def test_a_session_that_was_forgotten_is_a_mistake(broker: ScriptedBroker) -> None:
    async with Crew() as crew:
        await play(broker, Sender(crew, "c", V311, 1, message, limit=5), crew, 5)
        broker.known.clear()
        broker.seats[0].transport.abort()
        await until(lambda: bool(crew.mistakes), "it is found out")
        assert crew.mistakes == ["c: the session was forgotten"]


async def test_a_session_that_never_was_is_begun_anew(broker: ScriptedBroker) -> None:
    """Killed before anything was durable: publishes come as new ones."""

    def forget(seat: Seat, packet: Packet) -> bool:
        if isinstance(packet, Publish) and len(broker.seats) == 1:
            broker.known.clear()
            seat.transport.abort()
        return seat.transport.is_closing()

    broker.take_over = forget
    async with Crew() as crew:
        sender = Sender(crew, "c", V311, 2, message, limit=5)
        await play(broker, sender, crew, 5)
        assert (crew.mistakes, sender.resumed) == ([], 0)
        assert not any(publish.dup for publish in broker.publishes("c"))


def deliver(*packets: Packet) -> object:
    def answer(seat: Seat, packet: Packet) -> bool:
        seat.answer(packet)
        if isinstance(packet, Subscribe):
            for one in packets:
                seat.say(one)
        return True

    return answer


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_listener_notes_and_answers_what_comes(broker: ScriptedBroker, version: int) -> None:
    broker.take_over = deliver(Publish("n/1", b"a", 1, packet_id=7), Publish("n/1", b"b"))  # type: ignore[assignment]
    async with Crew() as crew:
        listener = Listener(crew, "l", "n/+", version=version)
        crew.connect_to(broker.address)
        crew.add(listener)
        await until(lambda: ("l", Puback(7)) in broker.packets, "it answers")
        assert listener.subscribed.is_set()
        assert listener.notes == [("n/1", b"a"), ("n/1", b"b")]
        listener.leave()
        await broker.seats[0].closed.wait()
        listener.come_back()
        await until(lambda: len(broker.seats) == 2, "it comes back")
        assert len([packet for _, packet in broker.packets if isinstance(packet, Subscribe)]) == 1
        assert crew.mistakes == []


async def test_a_message_of_qos_2_is_new_until_its_id_is_released(broker: ScriptedBroker) -> None:
    first, second = Publish("n/1", b"a", 2, packet_id=7), Publish("n/1", b"b", 2, packet_id=7)
    again = Publish("n/1", b"a", 2, dup=True, packet_id=7)
    broker.take_over = deliver(first, again, Pubrel(7), second)  # type: ignore[assignment]
    async with Crew() as crew:
        listener = Listener(crew, "l", "n/+", qos=2)
        crew.connect_to(broker.address)
        crew.add(listener)
        await until(lambda: broker.packets[-1:] == [("l", Pubrec(7))] and len(listener.notes) == 2, "it answers")
        answers = [packet for _, packet in broker.packets if isinstance(packet, Pubrec | Pubcomp)]
        assert answers == [Pubrec(7), Pubrec(7), Pubcomp(7), Pubrec(7)]
        assert listener.notes == [("n/1", b"a"), ("n/1", b"b")]
        assert crew.mistakes == []


async def test_a_subscription_that_was_forgotten_is_a_mistake(broker: ScriptedBroker) -> None:
    async with Crew() as crew:
        listener = Listener(crew, "l", "n/+")
        crew.connect_to(broker.address)
        crew.add(listener)
        await until(listener.subscribed.is_set, "it is subscribed")
        broker.known.clear()
        broker.seats[0].transport.abort()
        await until(lambda: bool(crew.mistakes), "it is found out")
        assert crew.mistakes == ["l: the subscription was forgotten"]
