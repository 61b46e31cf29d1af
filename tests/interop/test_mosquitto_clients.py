"""mosquitto_pub and mosquitto_sub (Debian package mosquitto-clients)."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.gateway.ingress.rig import GUARD_S, until

if TYPE_CHECKING:
    from tests.interop.conftest import Gateway

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not (shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub")),
        reason="mosquitto_pub and mosquitto_sub are not installed (Debian package mosquitto-clients)",
    ),
]
VERSIONS = ["mqttv311", "mqttv5"]


async def publish(gateway: Gateway, *arguments: str, data: bytes | None = None) -> tuple[int, str]:
    """Exit status and what it said."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(gateway.port), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    async with asyncio.timeout(GUARD_S):
        _, said = await process.communicate(data)
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def subscriber(gateway: Gateway, *arguments: str) -> AsyncIterator[Process]:
    """A mosquitto_sub that has subscribed."""
    known = len(gateway.broker.tree)
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(gateway.port), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    try:
        await until(lambda: len(gateway.broker.tree) > known)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(GUARD_S):
        return (await process.stdout.readline()).decode().rstrip("\n")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_in_and_out(gateway: Gateway, version: str, qos: str) -> None:
    async with subscriber(gateway, "-V", version, "-q", qos, "-t", "devices/+/telemetry", "-v") as reader:
        topic = "devices/dev-1/telemetry"
        assert await publish(gateway, "-V", version, "-q", qos, "-t", topic, "-m", '{"t": 1}') == (0, "")
        assert await line(reader) == topic + ' {"t": 1}'
        assert gateway.taken(topic) == [b'{"t": 1}']


@pytest.mark.parametrize("version", VERSIONS)
async def test_many_lines_in_one_connection_keep_their_order(gateway: Gateway, version: str) -> None:
    lines = [b"%d" % number for number in range(500)]
    done = await publish(gateway, "-V", version, "-q", "1", "-t", "a", "-l", data=b"\n".join(lines) + b"\n")
    assert done == (0, "")
    assert gateway.taken("a") == lines


@pytest.mark.parametrize("version", VERSIONS)
async def test_retained(gateway: Gateway, version: str) -> None:
    await publish(gateway, "-V", version, "-q", "1", "-r", "-t", "state/x", "-m", "on")
    async with subscriber(gateway, "-V", version, "-t", "state/#", "-F", "%r %p") as reader:
        assert await line(reader) == "1 on"


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_will_of_a_client_that_is_killed(gateway: Gateway, version: str) -> None:
    will = ["--will-topic", "gone", "--will-payload", "dev-1", "--will-qos", "1"]
    async with (
        subscriber(gateway, "-V", version, "-t", "gone") as reader,
        subscriber(gateway, "-V", version, "-t", "x", *will) as dying,
    ):
        dying.kill()
        assert await line(reader) == "dev-1"


async def test_a_persistent_session_gets_what_came_while_it_was_away(gateway: Gateway) -> None:
    session = ["-i", "reader", "-c", "-q", "1", "-t", "a/#"]
    async with subscriber(gateway, *session):
        pass
    await until(lambda: gateway.counters.open == 0)
    for number in range(3):
        await publish(gateway, "-q", "1", "-t", "a/b", "-m", str(number))
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(gateway.port), *session, "-C", "3"]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    async with asyncio.timeout(GUARD_S):
        assert (await process.communicate())[0] == b"0\n1\n2\n"


async def test_a_shared_subscription_is_dealt_out(gateway: Gateway) -> None:
    shared = ["-V", "mqttv5", "-q", "1", "-t", "$share/g/work/#", "-C", "2"]
    async with subscriber(gateway, *shared) as one:
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(gateway.port), *shared]
        two = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        await until(lambda: sum(len(session.subscriptions) for session in gateway.broker.sessions.values()) == 2)
        await publish(gateway, "-q", "1", "-t", "work/x", "-l", data=b"1\n2\n3\n4\n")
        async with asyncio.timeout(GUARD_S):
            got = b"".join([(await one.communicate())[0], (await two.communicate())[0]]).split()
        assert sorted(got) == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_password_is_told(gateway: Gateway, version: str) -> None:
    status, said = await publish(gateway, "-V", version, "-u", "dev-1", "-P", "wrong", "-t", "a", "-m", "x")
    assert status != 0
    assert "Connection" in said
    assert gateway.topics.messages == []


async def test_a_topic_that_is_not_allowed_is_told_in_5_0(gateway: Gateway) -> None:
    gateway.door.denied.append("secret/#")
    _, said = await publish(gateway, "-V", "mqttv5", "-q", "1", "-t", "secret/a", "-m", "x")
    assert "Not authorized" in said
    assert gateway.topics.messages == []
