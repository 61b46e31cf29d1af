"""One connection to a broker, and the seams of amqtt's handler that it stands on."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import amqtt
import pytest
import trustme

from gateway.domain.errors import OperatorError, SourceProblem
from gateway.ingress.broker_link import BrokerAddress, BrokerLink, client_context
from gateway.ingress.broker_stream import Gate, SourceDown
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V311,
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
)
from tests.gateway.ingress.brokers import Wire, free_port, scripted, until

ADDRESS = BrokerAddress("127.0.0.1", 0, "gw", timeout_s=10)


class Taken:
    """Implements Taker."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.error: Exception | None = None

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int, *, dup: bool, retain: bool) -> None:
        self.seen.append((topic, payload, qos, packet_id, dup, retain))
        if self.error is not None:
            raise self.error

    def too_large(self, topic: str, qos: int, packet_id: int, size: int) -> None:
        self.seen.append((topic, size))

    def release(self, packet_id: int) -> None:
        self.seen.append(packet_id)


@asynccontextmanager
async def linked(script: Callable[[Wire], Awaitable[Any]], **more: Any) -> Any:
    """A link to a broker that plays `script` once it has accepted; with its taker and its gate."""

    async def accept(wire: Wire) -> None:
        assert isinstance(await wire.receive(), Connect)
        wire.send(Connack(session_present=True))
        await script(wire)

    async with scripted(accept) as port:
        taken, gate = Taken(), Gate(asyncio.get_running_loop().time)
        link = await BrokerLink.open(replace(ADDRESS, port=port, **more), taken, gate)
        try:
            await link.start()
            yield link, taken, gate
        finally:
            await link.close()


async def silence(wire: Wire) -> None:
    """Reads and says nothing."""
    while True:
        await wire.receive()


def test_the_seams_are_those_of_this_version() -> None:
    assert amqtt.__version__.startswith("0.12.")


async def test_what_connect_says() -> None:
    said: list[Any] = []

    async def script(wire: Wire) -> None:
        said.append(await wire.receive())
        wire.send(Connack())
        await silence(wire)

    async with scripted(script) as port:
        address = replace(ADDRESS, port=port, username="u", password="pässword", keep_alive_s=33, clean_session=True)
        link = await BrokerLink.open(address, Taken(), Gate(lambda: 0.0))
        assert (link.session_present, link.peer) == (False, f"127.0.0.1:{port}")
        await link.close()
    assert said == [Connect(4, "gw", True, 33, user_name="u", password="pässword".encode())]
    assert "pässword" not in repr(address)


async def test_messages_come_in_order_and_nothing_is_answered_by_itself() -> None:
    answered: list[Any] = []
    done = asyncio.Event()

    async def script(wire: Wire) -> None:
        wire.send(
            Publish("a", b"0"),
            Publish("a", b"1", 1, packet_id=5),
            Publish("a", b"2", 2, retain=True, dup=True, packet_id=6),
            Pubrel(6),
            Publish("a", b"3", 1, packet_id=7),
            Pingresp(),
        )
        answered.append(await wire.receive())
        done.set()

    async with linked(script) as (link, taken, _):
        assert link.session_present
        await until(lambda: len(taken.seen) == 5)
        for _ in range(20):  # time for answers of amqtt's own
            await asyncio.sleep(0)
        link.send(b"\x40\x02\x00\x05")
        await done.wait()
    assert taken.seen == [
        ("a", b"0", 0, 0, False, False),
        ("a", b"1", 1, 5, False, False),
        ("a", b"2", 2, 6, True, True),
        6,
        ("a", b"3", 1, 7, False, False),
    ]
    assert answered == [Puback(5)]


async def test_a_closed_gate_stops_reading_and_no_answer_is_missed_meanwhile() -> None:
    async def script(wire: Wire) -> None:
        request = await wire.receive()
        assert isinstance(request, Subscribe)
        wire.send(Publish("a", b"1"), Suback(request.packet_id, [ReasonCode.GRANTED_QOS_1]))
        await silence(wire)

    async with linked(script, timeout_s=0.05) as (link, taken, gate):
        gate.set(False)
        asked = asyncio.create_task(link.subscribe(["a"], 1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(asked)
        assert taken.seen == []
        gate.set(True)
        assert await asked == 1
        assert len(taken.seen) == 1


async def test_subscriptions_go_in_small_parties() -> None:
    sizes: list[int] = []

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.receive()
            assert isinstance(request, Subscribe)
            sizes.append(len(request.subscriptions))
            granted = [ReasonCode(1 if one.topic_filter == "f9" else one.qos) for one in request.subscriptions]
            wire.send(Suback(request.packet_id, granted))

    async with linked(script) as (link, _, _):
        assert await link.subscribe([f"f{number}" for number in range(10)], 2) == 1
    assert sizes == [8, 2]


async def test_a_refused_subscription_is_named() -> None:
    async def script(wire: Wire) -> None:
        request = await wire.receive()
        assert isinstance(request, Subscribe)
        wire.send(Suback(request.packet_id, [ReasonCode.GRANTED_QOS_1, ReasonCode.UNSPECIFIED_ERROR]))
        await silence(wire)

    async with linked(script) as (link, _, _):
        with pytest.raises(SourceDown, match="subscription_refused: the broker refused the subscription to b/#"):
            await link.subscribe(["a", "b/#"], 1)


async def test_every_wait_has_its_limit() -> None:
    async with linked(silence, timeout_s=0.05) as (link, _, _):
        with pytest.raises(SourceDown, match=r"no_answer: no answer to SUBSCRIBE in 0.05 s"):
            await link.subscribe(["a"], 1)
        with pytest.raises(SourceDown, match=r"no_answer: no answer to PINGREQ in 0.05 s"):
            await link.ping()


async def test_a_round_trip_and_the_goodbye() -> None:
    said: list[Any] = []
    done = asyncio.Event()

    async def script(wire: Wire) -> None:
        said.append(await wire.receive())
        wire.send(Pingresp())
        said.append(await wire.receive())
        said.append(await wire.receive())
        done.set()

    async with linked(script) as (link, _, _):
        await link.ping()
        await link.publish("probe", b"n")
        await link.close(politely=True)
        assert (await link.lost()).problem is SourceProblem.CONNECTION_LOST
        await done.wait()
    assert said == [Pingreq(), Publish("probe", b"n"), Disconnect()]


@pytest.mark.parametrize(
    ("code", "problem", "words"),
    [
        (1, "connect_refused", "does not speak MQTT 3.1.1"),
        (2, "connect_refused", "set `client_id`"),
        (3, "connect_refused", "unavailable"),
        (4, "bad_credentials", "user name and password"),
        (5, "not_authorized", "check user name"),
        (77, "connect_refused", "return code 77"),
    ],
)
async def test_a_broker_that_refuses(code: int, problem: str, words: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.receive()
        wire.writer.write(bytes((0x20, 2, 0, code)))
        await silence(wire)

    async with scripted(script) as port:
        with pytest.raises(SourceDown, match=words) as caught:
            await BrokerLink.open(replace(ADDRESS, port=port), Taken(), Gate(lambda: 0.0))
    assert caught.value.problem.value == problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "connection_lost"),
        (b"\x20", "connection_lost"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "connection_lost"),
        (b"\x20\x03\x00\x00\x00", "protocol_error"),
    ],
)
async def test_something_else_than_a_connack(answer: bytes, problem: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.receive()
        wire.writer.write(answer)
        wire.writer.close()

    async with scripted(script) as port:
        with pytest.raises(SourceDown) as caught:
            await BrokerLink.open(replace(ADDRESS, port=port), Taken(), Gate(lambda: 0.0))
    assert caught.value.problem.value == problem


async def test_a_broker_that_says_nothing_and_one_that_is_not_there() -> None:
    async with scripted(silence) as port:
        with pytest.raises(SourceDown, match=r"no_answer: no answer to CONNECT in 0.05 s"):
            await BrokerLink.open(replace(ADDRESS, port=port, timeout_s=0.05), Taken(), Gate(lambda: 0.0))
    with pytest.raises(SourceDown, match=r"unreachable: cannot connect to 127.0.0.1:\d+: "):
        await BrokerLink.open(replace(ADDRESS, port=free_port()), Taken(), Gate(lambda: 0.0))
    with pytest.raises(SourceDown, match="unreachable: cannot connect to "):
        await BrokerLink.open(replace(ADDRESS, host="no.such.host.invalid", port=1), Taken(), Gate(lambda: 0.0))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "connection_lost"),
        (b"\x30\x80\x80\x80\x80\x01", "protocol_error"),
        (b"\x36\x04\x00\x01ab", "protocol_error"),
    ],
)
async def test_how_a_connection_ends(data: bytes, problem: str) -> None:
    async def script(wire: Wire) -> None:
        wire.writer.write(data)
        wire.writer.close()

    async with linked(script) as (link, _, _):
        async with asyncio.timeout(5):
            assert (await link.lost()).problem.value == problem


async def test_whatever_a_broker_sends_ends_the_connection_or_is_taken() -> None:
    chance = random.Random(5)
    good = [
        encode(packet, V311)
        for packet in (
            Publish("a/b", b"1", 1, packet_id=5),
            Publish("a/b", b"22", 0),
            Pubrel(6),
            Suback(1, [ReasonCode.GRANTED_QOS_1]),
            Puback(9),
            Pingresp(),
        )
    ]

    async def script(wire: Wire) -> None:
        data = bytearray(b"".join(chance.choices(good, k=5)))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        wire.writer.write(bytes(data))
        wire.writer.close()

    before = len(asyncio.all_tasks())
    problems = set()
    for _ in range(150):
        async with linked(script, max_packet_bytes=64) as (link, _, _), asyncio.timeout(5):
            problems.add((await link.lost()).problem)
    assert problems == {SourceProblem.CONNECTION_LOST, SourceProblem.PROTOCOL_ERROR}
    await until(lambda: len(asyncio.all_tasks()) == before)


async def test_an_error_of_ours_is_called_so() -> None:
    async def script(wire: Wire) -> None:
        await wire.receive()
        wire.send(Publish("a", b"1"))
        await silence(wire)

    async with linked(script) as (link, taken, _):
        taken.error = RuntimeError("ours")
        link.send(b"\xc0\x00")
        down = await link.lost()
    assert (down.problem.value, down.detail) == ("internal_error", "RuntimeError: ours")


async def test_nothing_is_read_after_a_failure() -> None:
    async def script(wire: Wire) -> None:
        await wire.receive()
        wire.send(*(Publish("a", b"%d" % number) for number in range(100)))
        await silence(wire)

    async with linked(script) as (link, taken, _):
        taken.publish = lambda *_, **__: (taken.seen.append(1), link.fail(SourceProblem.NOT_KEPT, "full"))
        link.send(b"\xc0\x00")
        down = await link.lost()
        assert (down.problem.value, down.detail) == ("not_kept", "full")
        link.send(b"\x40\x02\x00\x05")  # leads nowhere
    assert len(taken.seen) == 1


async def test_a_broker_that_does_not_read() -> None:
    async with linked(lambda _: asyncio.Event().wait()) as (link, _, _):
        while not link._handler.ended.is_set():
            link.send(b"\x40\x02\x00\x05" * 65_536)
        assert (await link.lost()).detail == "the broker does not read what it is sent"


async def test_tls_that_does_not_fit(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("localhost").configure_cert(server)
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    address = replace(ADDRESS, host="localhost", port=port, tls=client_context(tmp_path / "ca.pem"))
    with pytest.raises(SourceDown, match=r"tls_failed: the broker's certificate is not trusted: .*set tls.ca_file"):
        await BrokerLink.open(address, Taken(), Gate(lambda: 0.0))
    listening.close()
    await listening.wait_closed()
    async with scripted(lambda wire: wire.reader.read()) as plain:
        with pytest.raises(SourceDown) as caught:
            await BrokerLink.open(replace(address, port=plain, timeout_s=0.2), Taken(), Gate(lambda: 0.0))
    assert caught.value.problem in (SourceProblem.UNREACHABLE, SourceProblem.TLS_FAILED)


def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    ca = trustme.CA()
    one, other = ca.issue_cert("a"), ca.issue_cert("b")
    one.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    other.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with pytest.raises(OperatorError, match=r"tls.ca_file .*missing.pem: cannot be read: No such file"):
        client_context(tmp_path / "missing.pem")
    with pytest.raises(OperatorError, match=r"tls.ca_file .*text.pem holds no PEM certificate"):
        client_context(text)
    with pytest.raises(OperatorError, match=r"tls.cert_file and tls.key_file go together"):
        client_context(cert_file=text)
    with pytest.raises(OperatorError, match="must be PEM and belong together"):
        client_context(None, tmp_path / "cert.pem", tmp_path / "key.pem")
    assert client_context(alpn=["x-amzn-mqtt-ca"]).minimum_version is ssl.TLSVersion.TLSv1_2
