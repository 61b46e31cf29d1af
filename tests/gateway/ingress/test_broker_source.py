"""Existing brokers as sources: mosquitto, amqtt's broker, and scripted ones for what these do not do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from gateway.domain.errors import OperatorError, RefuseReason, SourceProblem
from gateway.domain.receipt import Outcome
from gateway.ingress.broker_intake import IntakeLimits
from gateway.ingress.broker_link import BrokerAddress, client_context
from gateway.ingress.broker_source import BrokerSource, BrokerSources, SourceOptions, SourceServices, read_url
from gateway.ingress.clock import Clock, IdSource
from gateway.observe.health import State
from gateway.protocol.mqtt.packets import (
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
)
from tests.gateway.ingress.brokers import (
    GUARD_S,
    FakeTopicFlow,
    Mosquitto,
    Publisher,
    Wire,
    free_port,
    scripted,
    until,
)


def options(port: int, name: str = "mill", **more: Any) -> SourceOptions:
    known = SourceOptions.__dataclass_fields__
    address = BrokerAddress("127.0.0.1", port, "gw", timeout_s=10)
    address = replace(address, **{key: value for key, value in more.items() if key not in known})
    made = SourceOptions(name, address, ("plant/#",), reconnect_s=0.01, reconnect_max_s=0.05)
    return replace(made, **{key: value for key, value in more.items() if key in known})


class Rig:
    """Sources with a flow that a test settles."""

    def __init__(self, *of: SourceOptions, hold: bool = False) -> None:
        self.flow = FakeTopicFlow(hold=hold)
        services = SourceServices(self.flow, self.flow.outbox, Clock().unix_ms, IdSource())
        self.sources = BrokerSources(services)
        for one in of:
            self.sources.add(one)

    @property
    def source(self) -> BrokerSource:
        return self.sources.sources[0]

    async def connected(self) -> None:
        await until(lambda: all(source.counters.connected for source in self.sources.sources))

    async def received(self, *payloads: bytes) -> None:
        await until(lambda: len(self.flow.messages) >= len(payloads))
        assert self.flow.payloads == list(payloads)

    async def trouble(self, problem: SourceProblem) -> None:
        await until(lambda: self.source.counters.problems[problem] > 0)


@asynccontextmanager
async def running(*of: SourceOptions, hold: bool = False, connected: bool = True) -> AsyncIterator[Rig]:
    """Sources that run; at the end they are killed: no goodbye, whatever is not settled stays so."""
    rig = Rig(*of, hold=hold)
    await rig.sources.start()
    try:
        if connected:
            await rig.connected()
        yield rig
    finally:
        await rig.sources.drain(0)


# Mosquitto


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_of_every_qos_come_in_order(tmp_path: Path, qos: int) -> None:
    async with Mosquitto(tmp_path) as broker, running(options(broker.port, qos=2)) as rig:
        async with Publisher.at(broker.port) as publisher:
            payloads = [b"%d" % number for number in range(60)]
            await publisher.publish("plant/7/up", *payloads, qos=qos)
            await publisher.publish("elsewhere", b"no")
        await rig.received(*payloads)
        assert {message.topic for message in rig.flow.messages} == {"plant/7/up"}
        assert rig.flow.messages[0].listener == "mill"
        await until(lambda: rig.source.counters.acknowledged == (60 if qos else 0))
        assert (rig.source.counters.in_flight, rig.source.counters.messages) == (0, 60)


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_not_settled_when_the_gateway_died_comes_again(tmp_path: Path, qos: int) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with running(options(broker.port, qos=2), hold=True) as rig, Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"a", b"b", b"c", qos=qos)
            await rig.received(b"a", b"b", b"c")
            rig.flow.settle(1)
            await until(lambda: rig.source.counters.acknowledged == 1)
            if qos == 1:
                await publisher.publish("plant/1", b"d", qos=qos)
                await until(lambda: len(rig.flow.messages) == 4)
        again = [b"b", b"c", b"d"] if qos == 1 else [b"b", b"c"]
        async with running(options(broker.port, qos=2)) as rig:
            await rig.received(*again)
            await until(lambda: rig.source.counters.acknowledged == len(again))
        async with running(options(broker.port, qos=2)) as rig, Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"new", qos=qos)
            await rig.received(b"new")


async def test_a_broker_that_restarts_keeps_what_comes_while_we_are_away(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    async with broker, running(options(broker.port)) as rig:
        async with Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"a")
        await rig.received(b"a")
        await broker.stop()
        await rig.trouble(SourceProblem.CONNECTION_LOST)
        assert not rig.source.counters.connected
        await broker.start()
        async with Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"b")  # before or after we are back
            await rig.received(b"a", b"b")
        await until(lambda: rig.source.counters.connects == 2)
    assert rig.source.health().error.startswith(("connection_lost: ", "unreachable: "))


async def test_a_broker_that_forgot_our_subscriptions_gets_them_again(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    async with broker, running(options(broker.port, clean_session=True)) as rig:
        await broker.stop()
        await rig.trouble(SourceProblem.CONNECTION_LOST)
        (tmp_path / "mosquitto.db").unlink()
        await broker.start()
        await until(lambda: rig.source.counters.connects == 2)
        async with Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"a")
        await rig.received(b"a")


async def test_a_wrong_password_is_said_and_tried_again(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed (Debian: apt-get install mosquitto)")
    users = tmp_path / "users"
    made = await asyncio.create_subprocess_exec(tool, "-b", "-c", str(users), "gw", "right")
    assert await made.wait() == 0
    lines = ("allow_anonymous false", f"password_file {users}")
    async with Mosquitto(tmp_path, *lines) as broker:
        wrong = options(broker.port, username="gw", password="wrong")
        with structlog.testing.capture_logs() as lines_logged:
            async with running(wrong, connected=False) as rig:
                await until(lambda: sum(rig.source.counters.problems.values()) >= 3)
                code, _, detail = rig.sources.health().parts["mill"].error.partition(": ")
        assert code in {"bad_credentials", "not_authorized"}
        assert "password" in detail
        down = [line for line in lines_logged if line["event"] == "source_down"]
        assert {line["code"] for line in down} == {code}
        assert all(0 <= line["again_in_s"] <= 0.05 for line in down)
        async with (
            running(replace(wrong, address=replace(wrong.address, password="right"))) as rig,
            Publisher.at(broker.port, username="gw", password=b"right") as publisher,
        ):
            await publisher.publish("plant/1", b"a")
            await rig.received(b"a")


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("localhost", "gw"):
        made = ca.issue_cert(name)
        made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    lines = (
        f"cafile {tmp_path}/ca.pem",
        f"certfile {tmp_path}/localhost.pem",
        f"keyfile {tmp_path}/localhost.pem",
        "require_certificate true",
        "allow_anonymous true",
    )
    tls = client_context(tmp_path / "ca.pem", tmp_path / "gw.pem", tmp_path / "gw.pem")
    async with Mosquitto(tmp_path, *lines) as broker:
        async with (
            running(options(broker.port, host="localhost", tls=tls)) as rig,
            Publisher.at(broker.port, tls=tls) as publisher,
        ):
            await publisher.publish("plant/1", b"a")
            await rig.received(b"a")
        bare = client_context(tmp_path / "ca.pem")
        async with running(options(broker.port, host="localhost", tls=bare), connected=False) as rig:
            await until(lambda: sum(rig.source.counters.problems.values()) > 0)
            counted = {problem for problem, count in rig.source.counters.problems.items() if count}
            assert counted <= {SourceProblem.TLS_FAILED, SourceProblem.CONNECTION_LOST}


async def test_two_brokers_and_one_that_is_not_there(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with Mosquitto(tmp_path / "one") as one, Mosquitto(tmp_path / "two") as two:
        brokers = {"one": one.port, "two": two.port, "gone": free_port()}
        made = [options(port, name, tenant=name) for name, port in brokers.items()]
        async with running(*made, connected=False) as rig:
            await until(lambda: sum(source.counters.connected for source in rig.sources.sources) == 2)
            for name in ("one", "two"):
                async with Publisher.at(brokers[name]) as publisher:
                    await publisher.publish("plant/1", name.encode())
            await until(lambda: len(rig.flow.messages) == 2)
            found = {(one.payload.decode(), one.listener, one.speaker.tenant) for one in rig.flow.messages}
            assert found == {("one", "one", "one"), ("two", "two", "two")}
            health = rig.sources.health()
            assert health.state is State.DEGRADED
            assert {name: part.state.value for name, part in health.parts.items()} == {
                "one": "ok",
                "two": "ok",
                "gone": "down",
            }


async def test_a_shared_subscription_is_shared(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        members = [options(broker.port, name, client_id=name, shared_group="gws") for name in ("a", "b")]
        async with running(*members) as rig, Publisher.at(broker.port) as publisher:
            payloads = [b"%d" % number for number in range(20)]
            await publisher.publish("plant/1", *payloads)
            await until(lambda: len(rig.flow.messages) == 20)
            assert sorted(rig.flow.payloads) == sorted(payloads)
            assert {message.listener for message in rig.flow.messages} == {"a", "b"}


async def test_reading_stops_while_the_outbox_is_full(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        running(options(broker.port)) as rig,
        Publisher.at(broker.port) as publisher,
    ):
        rig.flow.outbox.set_room(False)
        assert rig.source.counters.held_back
        await publisher.publish("plant/1", *[b"%d" % number for number in range(30)])
        assert rig.flow.messages == []
        rig.flow.outbox.set_room(True)
        await rig.received(*[b"%d" % number for number in range(30)])


async def test_no_more_is_in_flight_than_allowed(tmp_path: Path) -> None:
    limits = IntakeLimits(messages=3)
    async with (
        Mosquitto(tmp_path) as broker,
        running(options(broker.port, limits=limits), hold=True) as rig,
        Publisher.at(broker.port) as publisher,
    ):
        await publisher.publish("plant/1", *[b"%d" % number for number in range(10)])
        await until(lambda: len(rig.flow.messages) == 3)
        rig.flow.settle(1)
        await until(lambda: len(rig.flow.messages) == 4)
        assert rig.source.counters.in_flight == 3
        rig.flow.settle_all()
        await rig.received(*[b"%d" % number for number in range(10)])


async def test_what_cannot_be_kept_now_comes_again(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        running(options(broker.port), hold=True) as rig,
        Publisher.at(broker.port) as publisher,
    ):
        await publisher.publish("plant/1", b"a")
        await rig.received(b"a")
        rig.flow.settle(1, Outcome.REFUSED, RefuseReason.SINK_FAILED.value)
        rig.flow.hold = False
        await rig.received(b"a", b"a")
    assert rig.source.counters.problems[SourceProblem.NOT_KEPT] == 1


async def test_the_end_waits_for_what_is_in_flight_and_says_goodbye(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with running(options(broker.port), hold=True) as rig, Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"a", b"b")
            await rig.received(b"a", b"b")
            ending = asyncio.create_task(rig.sources.drain(GUARD_S))
            await until(lambda: rig.source.counters.held_back)
            rig.flow.settle_all()
            assert await ending == 0
            await publisher.publish("plant/1", b"later")
        async with running(options(broker.port)) as rig:
            await rig.received(b"later")


async def test_the_deadline_cuts_what_does_not_settle(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Publisher.at(broker.port) as publisher:
        rig = Rig(options(broker.port), hold=True)
        await rig.sources.start()
        await rig.connected()
        await publisher.publish("plant/1", b"a")
        await rig.received(b"a")
        assert await rig.sources.drain(0.05) == 1


async def test_an_own_message_proves_the_way_through_the_broker(tmp_path: Path) -> None:
    made = options(0, filters=("#",), probe_topic="gw/alive", liveness_s=0.02)
    async with Mosquitto(tmp_path) as broker:
        made = replace(made, address=replace(made.address, port=broker.port))
        async with running(made) as rig, Publisher.at(broker.port) as publisher:
            await publisher.publish("gw/alive/other", b"x")
            await publisher.publish("plant/1", b"a")
            await rig.received(b"x", b"a")
            assert not sum(rig.source.counters.problems.values())


# amqtt's broker


@pytest.mark.parametrize("qos", [1, 2])
async def test_amqtts_broker(qos: int) -> None:
    from amqtt.broker import Broker

    logging.getLogger("transitions").setLevel(logging.WARNING)
    port = free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        async with running(options(port, qos=qos)) as rig, Publisher.at(port) as publisher:
            for sent in (0, 1, 2):
                await publisher.publish("plant/1", b"%d" % sent, qos=sent)
            await rig.received(b"0", b"1", b"2")
            # It delivers with the QoS of the subscription, whatever that of the message
            await until(lambda: rig.source.counters.acknowledged == 3)
            assert await rig.sources.drain(GUARD_S) == 0
    finally:
        await broker.shutdown()


# Scripted


async def greet(wire: Wire) -> None:
    """As far as a subscription."""
    assert isinstance(await wire.receive(), Connect)
    wire.send(Connack())
    request = await wire.receive()
    assert isinstance(request, Subscribe)
    wire.send(Suback(request.packet_id, [ReasonCode(one.qos) for one in request.subscriptions]))


async def test_a_connection_without_a_sign_of_life_is_made_anew() -> None:
    pings = 0

    async def script(wire: Wire) -> None:
        nonlocal pings
        await greet(wire)
        while True:
            assert isinstance(await wire.receive(), Pingreq)
            pings += 1
            if pings < 3:
                wire.send(Pingresp())

    async with scripted(script) as port, running(options(port, liveness_s=0.02, timeout_s=0.1)) as rig:
        await rig.trouble(SourceProblem.NO_ANSWER)
        assert pings == 3
        await until(lambda: rig.source.counters.connects == 2)


async def test_a_broker_whose_subscriptions_are_gone_is_found_out() -> None:
    async def script(wire: Wire) -> None:
        await greet(wire)
        request = await wire.receive()
        assert isinstance(request, Subscribe)
        assert request.subscriptions[0].topic_filter == "alive/gw"
        wire.send(Suback(request.packet_id, [ReasonCode.GRANTED_QOS_0]))
        probe = await wire.receive()
        assert isinstance(probe, Publish)
        wire.send(probe)
        while True:  # it answers, but nothing comes back
            if isinstance(await wire.receive(), Pingreq):
                wire.send(Pingresp())

    made = options(0, probe_topic="alive", liveness_s=0.02, timeout_s=0.1)
    async with (
        scripted(script) as port,
        running(replace(made, address=replace(made.address, port=port))) as rig,
    ):
        await rig.trouble(SourceProblem.NO_ROUND_TRIP)
        assert "leave `probe_topic` out" in rig.source.health().error


async def test_a_lowered_qos_is_said() -> None:
    async def script(wire: Wire) -> None:
        assert isinstance(await wire.receive(), Connect)
        wire.send(Connack())
        request = await wire.receive()
        assert isinstance(request, Subscribe)
        wire.send(Suback(request.packet_id, [ReasonCode.GRANTED_QOS_0]))
        await wire.receive()

    with structlog.testing.capture_logs() as lines:
        async with scripted(script) as port, running(options(port)):
            pass
    [line] = [line for line in lines if line["event"] == "source_qos_lowered"]
    assert (line["asked"], line["granted"]) == (1, 0)


async def test_an_end_in_the_middle_of_connecting_is_quick() -> None:
    asked = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.receive()
        wire.send(Connack())
        await wire.receive()
        asked.set()
        await wire.receive()

    async with scripted(script) as port:
        rig = Rig(options(port))
        await rig.sources.start()
        await asked.wait()
        async with asyncio.timeout(5):
            assert await rig.sources.drain(GUARD_S) == 0


async def test_metrics_and_health(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, running(options(broker.port)) as rig:
        async with Publisher.at(broker.port) as publisher:
            await publisher.publish("plant/1", b"abc")
        await until(lambda: rig.source.counters.acknowledged == 1)
        text = scraped(rig.sources)
        for line in (
            'iotlink_source_connected{source="mill"} 1.0',
            'iotlink_source_messages_total{source="mill"} 1.0',
            'iotlink_source_message_bytes_total{source="mill"} 10.0',
            'iotlink_source_acknowledged_total{source="mill"} 1.0',
            'iotlink_source_problems_total{reason="tls_failed",source="mill"} 0.0',
            'iotlink_source_refused_total{reason="too_large",source="mill"} 0.0',
        ):
            assert line in text
        health = rig.sources.health()
        assert health.state is health.parts["mill"].state is State.OK
        assert health.parts["mill"].facts == {"broker": f"127.0.0.1:{broker.port}", "in_flight": 0}


def scraped(sources: BrokerSources) -> str:
    class Families:
        def collect(self) -> Any:
            return sources.metrics()

    registry = CollectorRegistry(auto_describe=False)
    with contextlib.suppress(ValueError):
        registry.register(Families())
    return generate_latest(registry).decode()


# Options


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("mqtt://broker.example", ("broker.example", 1883, False)),
        ("mqtts://broker.example", ("broker.example", 8883, True)),
        ("mqtts://[::1]:443/", ("::1", 443, True)),
    ],
)
def test_urls(url: str, read: tuple[str, int, bool]) -> None:
    assert read_url(url) == read


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://broker.example", "url: such as mqtt://"),
        ("mqtt://", "url: such as"),
        ("mqtt://broker.example/topic", "url: such as"),
        ("mqtt://broker.example:99999", "url: Port out of range"),
        ("mqtt://user:secret@broker.example", "url: put user name and password into `username`"),
    ],
)
def test_urls_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words) as caught:
        read_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"filters": ()}, "source mill: no topic to subscribe to"),
        ({"filters": ("a/#/b",)}, "source mill: the topic filter 'a/#/b' cannot be used"),
        ({"probe_topic": "a/#"}, "the topic filter 'a/#/#' cannot be used"),
        ({"shared_group": "a/b"}, "shared_group 'a/b'"),
        ({"client_id": ""}, "source mill: set `client_id`"),
        ({"password": "x"}, "no password without a `username`"),
        ({"liveness_s": 60}, "liveness_s has to be below keep_alive_s"),
    ],
)
def test_options_that_cannot_be_used(more: dict[str, Any], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        options(1883, **more)


def test_what_the_broker_is_asked_for() -> None:
    assert options(1883, shared_group="g").subscriptions == ("$share/g/plant/#",)
    assert options(1883, probe_topic="p").probe == "p/gw"
    assert ssl.create_default_context().verify_mode is client_context().verify_mode
