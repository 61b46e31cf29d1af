"""MQTT clients on real sockets: what the listener adds to the machines."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason, OperatorError
from gateway.ingress.mqtt import MqttOptions
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connack,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Will,
)
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, DownlinkOutcome
from tests.gateway.ingress.mqtt_rig import VERSIONS, Door, MqttPeer, MqttRig
from tests.gateway.ingress.rig import GUARD_S, until


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_publish_is_acknowledged_when_it_is_kept(version: int) -> None:
    async with MqttRig(hold=True) as rig:
        peer = await rig.join("dev-1", version)
        await peer.publish("a/b", b"0")
        await peer.publish("a/b", b"1", 1, 7)
        await peer.publish("a/b", b"2", 2, 8)
        peer.say(Pingreq())
        assert isinstance(await peer.packet(), Pingresp)
        assert rig.payloads == [b"0", b"1", b"2"]
        rig.outbox.settle_all()
        assert (await peer.one(Puback)).packet_id == 7
        assert (await peer.one(Pubrec)).packet_id == 8
        peer.say(Pubrel(8))
        assert (await peer.one(Pubcomp)).packet_id == 8


async def test_what_the_topic_flow_is_told_of_a_message() -> None:
    async with MqttRig() as rig:
        peer = await rig.join("dev-1", V5)
        said = Properties(content_type="application/json", user_properties=(("sig", "x"), ("sig", "y")))
        await peer.publish("a/b", b"{}", 1, 1, properties=said)
        await peer.one(Puback)
        (message,) = rig.topics.messages
        assert (message.topic, message.payload, message.listener) == ("a/b", b"{}", "m")
        assert (message.content_type, message.properties) == ("application/json", (("sig", "x"), ("sig", "y")))
        assert (message.received_ms, message.peer) == (rig.clock.now_ms, peer.address)
        assert message.session_id


async def test_clients_of_all_listeners_of_a_tenant_see_each_other_and_nobody_else() -> None:
    rig = MqttRig()
    second = rig.server.add(MqttOptions("second", "127.0.0.1", 0), rig.door)
    foreign = rig.server.add(MqttOptions("foreign", "127.0.0.1", 0, tenant="acme"), rig.door)
    async with rig:
        here, there, stranger = await rig.join("a"), await rig.join("b", to=second), await rig.join("a", to=foreign)
        for peer in (there, stranger):
            await peer.subscribe("#")
        await here.publish("x", b"1", 1, 1)
        assert isinstance(await here.packet(), Puback)
        assert (await there.one(Publish)).payload == b"1"
        stranger.say(Pingreq())
        assert isinstance(await stranger.packet(), Pingresp)
        assert rig.server.brokers["acme"].counts.connected == 1
        assert len(rig.server.counts) == 2


async def test_the_chosen_port_is_in_the_log_and_the_end_of_a_connection_too() -> None:
    with capture_logs() as logs:
        async with MqttRig() as rig:
            peer = await rig.join("dev-1")
            peer.say(Disconnect())
            assert await peer.read_to_end() == b""
            await rig.closed(CloseReason.PEER_CLOSED)
    (listening,) = [entry for entry in logs if entry["event"] == "listening"]
    assert (listening["face"], listening["listener"]) == ("mqtt", "m")
    (line,) = [entry for entry in logs if entry["event"] == "connection_closed"]
    assert (line["client_id"], line["version"], line["packets"], line["reason"]) == ("dev-1", V311, 2, "peer_closed")


async def test_a_port_in_use_is_the_operators() -> None:
    async with MqttRig() as rig:
        host, port = rig.listener.addresses[0]
        other = MqttRig()
        other.server.add(MqttOptions("taken", host, port), Door())
        with pytest.raises(OperatorError, match=f"mqtt listener taken: cannot listen on {host}:{port}"):
            await other.server.start()


@pytest.mark.parametrize(("version", "code"), [(V311, b"\x20\x02\x00\x04"), (V5, None)])
async def test_a_wrong_password_is_answered_and_logged_with_what_to_do(version: int, code: bytes | None) -> None:
    with capture_logs() as logs:
        async with MqttRig() as rig:
            peer = await rig.peer()
            connack = await peer.connect("dev-1", version, password=b"wrong")
            assert connack.reason is ReasonCode.BAD_USER_NAME_OR_PASSWORD
            if version == V5:
                assert connack.properties is not None
                assert connack.properties.reason_string == "check the password"
            await rig.closed(CloseReason.REFUSED)
    (line,) = [entry for entry in logs if entry["event"] == "connection_closed"]
    assert (line["code"], line["detail"]) == ("bad_user_name_or_password", "check the password")


async def test_an_answer_of_access_that_comes_late_is_for_nobody() -> None:
    async with MqttRig() as rig:
        rig.door.hold = True
        peer = await rig.peer()
        asking = asyncio.ensure_future(peer.connect("dev-1"))
        await until(lambda: len(rig.door.waiting) == 1)
        asking.cancel()
        peer.reset()
        await rig.closed(CloseReason.CONNECTION_LOST)
        rig.door.waiting[0](rig.door)  # type: ignore[arg-type]
        assert rig.broker.counts.connects == 0


# Limits


@pytest.mark.parametrize("version", VERSIONS)
async def test_beyond_the_limit_of_connections_a_client_is_told_so(version: int) -> None:
    async with MqttRig(max_connections=1) as rig:
        first = await rig.join("a")
        second = await rig.peer()
        connack = await second.connect("a", version)  # the same client id, whose session must not be touched
        expected = ReasonCode.SERVER_UNAVAILABLE if version == V311 else ReasonCode.SERVER_BUSY
        assert connack.reason is expected
        assert await second.read_to_end() == b""
        await rig.closed(CloseReason.CONNECTION_LIMIT)
        first.say(Pingreq())
        assert isinstance(await first.packet(), Pingresp)
        assert rig.door.seen == rig.door.seen[:1]
        first.say(Disconnect())
        await rig.closed(CloseReason.PEER_CLOSED)
        await rig.join("c")


async def test_beyond_the_limit_of_an_address_too() -> None:
    async with MqttRig(max_per_ip=1) as rig:
        await rig.join("a")
        second = await rig.peer()
        assert (await second.connect("b", V5)).reason is ReasonCode.SERVER_BUSY
        await rig.closed(CloseReason.PER_IP_LIMIT)


async def test_who_is_refused_cannot_stay_and_only_some_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.mqtt.MAX_REFUSALS", 2)
    async with MqttRig(max_connections=1) as rig:
        await rig.join("a")
        silent = [await rig.peer() for _ in range(2)]
        await until(lambda: rig.listener.connections == 3)
        cut = await rig.peer()
        assert await cut.read_to_end() == b""
        rig.pass_time(2)
        for peer in silent:
            assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.CONNECTION_LIMIT, 3)
        again = await rig.peer()
        assert (await again.connect("b", V5)).reason is ReasonCode.SERVER_BUSY


@pytest.mark.parametrize("data", [b"", b"\x10", b"\x10\x10\x00\x04MQ"])
async def test_who_does_not_connect_in_time_is_closed(data: bytes) -> None:
    async with MqttRig(limits=ClientLimits(connect_timeout_ms=10_000)) as rig:
        peer = await rig.peer()
        peer.send(data)
        await until(lambda: rig.listener.connections == 1)
        rig.pass_time(9)
        assert rig.listener.connections == 1
        rig.pass_time(1)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.LOGIN_TIMEOUT)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives_and_its_will_published(version: int) -> None:
    async with MqttRig() as rig:
        watcher = await rig.join("watcher")
        await watcher.subscribe("gone")
        peer = await rig.peer()
        await peer.connect("dev-1", version, keep_alive_s=10, will=Will("gone", b"dev-1"))
        rig.pass_time(14)
        assert rig.counters.open == 2
        rig.pass_time(1)
        if version == V5:
            assert (await peer.one(Disconnect)).reason is ReasonCode.KEEP_ALIVE_TIMEOUT
        assert await peer.read_to_end() == b""
        assert (await watcher.one(Publish)).payload == b"dev-1"
        await rig.closed(CloseReason.IDLE_TIMEOUT)


async def test_a_full_outbox_stops_the_reading_and_room_starts_it_again() -> None:
    async with MqttRig() as rig:
        peers = [await rig.join(f"dev-{n}") for n in range(3)]
        rig.outbox.set_room(False)
        assert rig.counters.paused == 3
        for peer in peers:
            await peer.publish("a", b"1", 1, 1)
        late = await rig.peer()
        joining = asyncio.ensure_future(late.connect("late"))
        await until(lambda: rig.counters.paused == 4)
        assert rig.topics.messages == []
        rig.outbox.set_room(True)
        for peer in peers:
            assert isinstance(await peer.packet(), Puback)
        assert isinstance(await joining, Connack)
        assert rig.counters.paused == 0


async def test_publishes_in_flight_hold_back_the_reading() -> None:
    async with MqttRig(hold=True, limits=ClientLimits(publishes_in_flight=4)) as rig:
        peer = await rig.join("dev-1")
        peer.say(*(Publish("a", b"%d" % n, 1, packet_id=n) for n in range(1, 501)))
        await until(lambda: rig.counters.paused == 1)
        assert len(rig.topics.messages) == 4
        got: list[int] = []
        while len(got) < 500:
            if not peer.unread:
                await until(lambda: bool(rig.outbox.waiting) or rig.counters.paused == 0)
                rig.outbox.settle_all()
            got.append((await peer.one(Puback)).packet_id)
        assert got == list(range(1, 501))
        await until(lambda: rig.counters.paused == 0)


# The end


async def test_what_was_sent_before_the_end_is_answered() -> None:
    async with MqttRig(hold=True) as rig:
        peer = await rig.join("dev-1")
        await peer.publish("a", b"1", 1, 1)
        peer.writer.write_eof()
        await until(lambda: len(rig.topics.messages) == 1)
        rig.outbox.settle_all()
        assert isinstance(await peer.packet(), Puback)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.PEER_CLOSED)


async def test_drain_answers_says_goodbye_and_publishes_wills() -> None:
    async with MqttRig(hold=True) as rig:
        busy = await rig.join("busy", V5, will=Will("gone/busy", b""))
        delayed = Will("gone/later", b"", properties=Properties(will_delay_interval=3600))
        quiet = await rig.join("quiet", V5, will=delayed, properties=Properties(session_expiry_interval=7200))
        old = await rig.join("old", V311)
        await busy.publish("a", b"1", 1, 1)
        await until(lambda: len(rig.topics.messages) == 1)
        draining = asyncio.ensure_future(rig.server.drain(GUARD_S))
        assert (await quiet.one(Disconnect)).reason is ReasonCode.SERVER_SHUTTING_DOWN
        assert await old.read_to_end() == b""
        assert not draining.done()
        rig.outbox.settle_all()
        assert isinstance(await busy.packet(), Puback)
        assert (await busy.one(Disconnect)).reason is ReasonCode.SERVER_SHUTTING_DOWN
        assert await draining == 0
        await until(lambda: len(rig.topics.messages) == 3)
        assert {message.topic for message in rig.topics.messages[1:]} == {"gone/busy", "gone/later"}
        await rig.closed(CloseReason.SHUTDOWN, 3)


async def test_drain_cuts_at_the_deadline_what_is_not_answered() -> None:
    async with MqttRig(hold=True) as rig:
        peer = await rig.join("dev-1")
        await peer.publish("a", b"1", 1, 1)
        await until(lambda: len(rig.topics.messages) == 1)
        assert await rig.server.drain(0.01) == 1
        with pytest.raises(EOFError):
            await peer.packet()


async def test_a_broker_that_fails_on_the_clock_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(now_ms: int) -> None:
        raise RuntimeError("an error of ours")

    async with MqttRig() as rig:
        monkeypatch.setattr(rig.broker, "on_clock", broken)
        with capture_logs() as logs:
            rig.server.sweep()
        assert [entry["event"] for entry in logs] == ["broker_failed"]


async def test_sessions_end_when_their_time_is_over() -> None:
    async with MqttRig(broker_limits=BrokerLimits(max_expiry_s=60)) as rig:
        peer = await rig.join("dev-1", clean=False)
        peer.say(Disconnect())
        await rig.closed(CloseReason.PEER_CLOSED)
        rig.pass_time(59)
        assert rig.broker.counts.sessions == 1
        rig.pass_time(1)
        assert rig.broker.counts.sessions == 0


# Downlinks


async def downlink(rig: MqttRig, client_id: str = "dev-1", qos: int = 1, tenant: str = "") -> DownlinkOutcome:
    outcome, _ = await rig.server.publish(client_id, "down", b"do", qos, timeout_s=5, tenant=tenant)
    return outcome


async def test_a_downlink_ends_with_the_clients_answer() -> None:
    async with MqttRig() as rig:
        peer = await rig.join("dev-1")
        sending = asyncio.ensure_future(downlink(rig))
        publish = await peer.one(Publish)
        assert (publish.topic, publish.payload, sending.done()) == ("down", b"do", False)
        peer.say(Puback(publish.packet_id))
        assert await sending is DownlinkOutcome.ACKED
        assert await downlink(rig, qos=0) is DownlinkOutcome.ACKED


async def test_a_downlink_without_an_answer_times_out_and_who_is_away_is_offline() -> None:
    async with MqttRig() as rig:
        peer = await rig.join("dev-1")
        sending = asyncio.ensure_future(downlink(rig))
        await peer.one(Publish)
        rig.pass_time(5)
        assert await sending is DownlinkOutcome.TIMEOUT
        assert await downlink(rig, "nobody") is DownlinkOutcome.OFFLINE
        assert await downlink(rig, tenant="nobody") is DownlinkOutcome.OFFLINE


async def test_a_downlink_whose_caller_has_gone_harms_nobody() -> None:
    async with MqttRig() as rig:
        peer: MqttPeer = await rig.join("dev-1")
        sending = asyncio.ensure_future(downlink(rig))
        publish = await peer.one(Publish)
        sending.cancel()
        peer.say(Puback(publish.packet_id), Pingreq())
        assert isinstance(await peer.packet(), Pingresp)
