"""Bad input over real sockets, at a real gateway with real products: what it costs, and that others never pay."""

from __future__ import annotations

import asyncio
import random
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import cut
from decoders.types import SessionContext
from gateway.domain.device import DeviceKey
from gateway.domain.errors import CloseReason
from gateway.ingress.stream_face import StreamOptions
from tests.e2e import frames
from tests.e2e.fleet import broken_cases
from tests.e2e.rig import GUARD_S, PRODUCTS, Client, RunningGateway, config, listener, product, until

pytestmark = pytest.mark.fault

PHONE = bytes.fromhex("013912345678")


class Speaker:
    """A device of one product: how it logs in, and a good frame by its number, each with the answer."""

    def __init__(self, name: str, number: int = 1) -> None:
        self.product = name
        self._imei = f"3599990000{PRODUCTS.index(name)}{number:04d}"
        self._hub = f"00451234{number:04d}"
        self._phone = PHONE[:-2] + number.to_bytes(2)
        self.device_id = {"example_thermo": self._hub, "jtt_808": self._phone.hex()}.get(name, self._imei)

    def login(self) -> tuple[bytes, bytes]:
        match self.product:
            case "concox_gt06":
                return frames.gt06_login(self._imei), frames.gt06(0x01)
            case "teltonika_codec8":
                return frames.teltonika_login(self._imei), b"\x01"
            case "jtt_808":
                frame = frames.jtt808_login(self._phone)
                return frame, frames.jtt808_answer(frame)
            case _:
                return frames.thermo_login(self._hub), frames.thermo_answer()

    def good(self, serial: int = 9) -> tuple[bytes, bytes]:
        match self.product:
            case "concox_gt06":
                return frames.gt06_heartbeat(serial), frames.gt06(0x13, serial=serial)
            case "teltonika_codec8":
                return frames.teltonika_position(1_700_000_000_000 + serial), bytes(3) + b"\x01"
            case "jtt_808":
                frame = frames.jtt808(0x0002, self._phone, serial=serial)
                return frame, frames.jtt808_answer(frame)
            case _:
                return frames.thermo_status(1200, serial), frames.thermo_answer(serial)

    def odd(self) -> tuple[bytes, bytes]:
        """A sound frame of a kind that the product does not know; only one product's platform has an answer to that."""
        match self.product:
            case "concox_gt06":
                return frames.gt06(0x55, b"\x01\x02"), b""
            case "teltonika_codec8":
                return frames.teltonika(0x55, 1, bytes(20)), b""
            case "jtt_808":
                frame = frames.jtt808(0x0F01, self._phone, b"\x01")
                return frame, frames.jtt808_answer(frame, result=3)
            case _:
                return frames.thermo(0x42, b"\x01"), b""

    def corrupt(self, serial: int = 9) -> bytes:
        """A good frame with one bit of its content changed."""
        frame = bytearray(self.good(serial)[0])
        at = {"concox_gt06": 5, "teltonika_codec8": 20, "jtt_808": 8}.get(self.product, 4)
        frame[at] ^= 0x04
        return bytes(frame)

    async def connect(self, rig: RunningGateway, name: str = "trackers", **options: Any) -> Client:
        """Connected and logged in."""
        client = await rig.connect(name, **options)
        await client.ask(*self.login())
        return client


async def assert_works(client: Client, speaker: Speaker) -> None:
    await client.ask(*speaker.good())


# Frames that were understood as frames


def broken_frames(name: str, session: SessionContext) -> Iterator[tuple[bytes, bytes, str]]:
    """Broken golden frames that a stream gives as frames: the frame, its answer, the error."""
    found = product(name)
    for case in broken_cases(name):
        try:
            frame = cut(found.framing, case.wire)
        except DecodeError:
            continue
        with pytest.raises(DecodeError) as caught:
            found.decode(frame, session)
        error = caught.value
        assert error.code == case.error
        if case.replies is not None:
            answer = bytes.fromhex("".join(case.replies))
        elif error.values and error.code is not DecodeCode.BAD_CHECK:
            answer = b"".join(found.replies(error.message, error.values, session, 0))
        else:
            answer = b""
        yield case.wire, answer, error.code.value


@pytest.mark.parametrize("name", PRODUCTS)
async def test_broken_frames_are_kept_and_the_device_goes_on(tmp_path: Path, name: str) -> None:
    """Every broken golden frame that is a frame at all: answered or not as the product says, and kept as it came."""
    speaker = Speaker(name)
    broken = list(broken_frames(name, SessionContext(device_id=speaker.device_id)))
    assert {"bad_check", "truncated"} <= {error for _, _, error in broken}
    async with RunningGateway(tmp_path, config(tmp_path, listener())) as rig:
        client = await speaker.connect(rig)
        for serial, (wire, answer, _) in enumerate(broken):
            await client.ask(wire, answer)
            await client.ask(*speaker.good(serial))  # nothing but this comes back before it
        await rig.settled(1 + 2 * len(broken))
        sums = rig.sums()
        assert (sums.accepted, sums.dead_lettered, sums.refused) == (1 + len(broken), len(broken), 0)
        letters = rig.letters()
        kept = [(letter["raw_hex"], letter["reason"]) for letter in letters]  # in two files, by reason
        assert sorted(kept) == sorted((wire.hex(), error) for wire, _, error in broken)
        for letter in letters:
            assert (letter["device_id"], letter["product"], letter["listener"]) == (speaker.device_id, name, "trackers")
            assert (letter["peer"], letter["spec_version"]) == (client.address, product(name).version)
            assert letter["session_id"]
        for file in (tmp_path / "data" / "dead_letters").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600
        await client.abort()


@pytest.mark.parametrize("name", PRODUCTS)
async def test_an_unknown_type_is_answered_only_if_the_product_says_so(tmp_path: Path, name: str) -> None:
    speaker = Speaker(name)
    async with RunningGateway(tmp_path) as rig:
        client = await speaker.connect(rig)
        odd, answer = speaker.odd()
        await client.ask(odd, answer)
        await assert_works(client, speaker)
        (letter,) = rig.letters()
        assert (letter["reason"], letter["raw_hex"]) == ("unknown_message", odd.hex())
        assert rig.total("iotlink_decode_errors_total", reason="unknown_message") == 1


async def test_wrong_check_values_fill_no_disk(tmp_path: Path) -> None:
    """Nobody is answered, and no more letters are written than the rate limit allows; good frames pass all the time."""
    speaker = Speaker("concox_gt06")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_bad_frames=1000))) as rig:
        client = await speaker.connect(rig)
        corrupt = speaker.corrupt()
        for _ in range(5):
            client.send(corrupt * 80)
            await assert_works(client, speaker)
        await rig.settled(1 + 400 + 5)
        kept = len(rig.letters())
        assert 100 <= kept < 400
        assert {letter["reason"] for letter in rig.letters()} == {"bad_check"}
        assert rig.total("iotlink_uplinks_refused_total", reason="rate_limited") == 400 - kept
        assert rig.total("iotlink_decode_errors_total", reason="bad_check") == 400


@pytest.mark.parametrize("name", PRODUCTS)
async def test_nothing_but_wrong_check_values_ends_the_connection(tmp_path: Path, name: str) -> None:
    speaker = Speaker(name)
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_bad_frames=3))) as rig:
        client = await speaker.connect(rig)
        client.send(speaker.corrupt() * 2)
        await assert_works(client, speaker)  # a good one between them, and they count anew
        client.send(speaker.corrupt() * 3)
        assert await client.read_to_end() == b""
        assert rig.closed(CloseReason.TOO_MANY_BAD_FRAMES) == 1


# What is no frame


@dataclass(slots=True)
class Misframed:
    product: str
    what: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.product} {self.what}"


def _misframed() -> Iterator[Misframed]:
    yield Misframed("concox_gt06", "too long", b"\x79\x79\xff\xff\x94" + bytes(20))
    yield Misframed("teltonika_codec8", "too long", bytes(4) + (70_000).to_bytes(4) + b"\x08\x01" + b"\xff" * 20)
    yield Misframed("jtt_808", "too long", b"\x7e" + b"\x11" * 2200)
    yield Misframed("example_thermo", "too long", b"\xa5\xc8\x02" + b"\x11" * 10)
    yield Misframed("example_thermo", "JSON too long", b'{"metrics": "' + b"x" * 4090)
    for name, at, width in (("concox_gt06", 2, 1), ("teltonika_codec8", 4, 4), ("example_thermo", 1, 1)):
        for change in (-1, 1, 3):
            frame = Speaker(name).good()[0]
            size = (int.from_bytes(frame[at : at + width]) + change).to_bytes(width)
            yield Misframed(name, f"length wrong by {change}", frame[:at] + size + frame[at + width :])
    for name in PRODUCTS:
        yield Misframed(name, "cut off", Speaker(name).good()[0][:-4])


@pytest.mark.parametrize("case", list(_misframed()), ids=str)
async def test_what_is_no_frame_is_skipped(tmp_path: Path, case: Misframed) -> None:
    """Good frames follow at once: at most the next one is swallowed, never a later one."""
    speaker = Speaker(case.product)
    async with RunningGateway(tmp_path) as rig:
        client = await speaker.connect(rig)
        good = [speaker.good(serial) for serial in (21, 22, 23)]
        client.send(case.data + b"".join(frame for frame, _ in good))
        client.end()
        answers = await client.read_to_end()
        assert answers in {b"".join(answer for _, answer in good[first:]) for first in (0, 1)}
        if case.what.endswith("too long"):
            assert rig.total("iotlink_decode_errors_total", reason="frame_too_long") >= 1
        assert rig.closed(CloseReason.PEER_CLOSED) == 1


async def test_frames_that_are_too_long_end_the_connection_in_time(tmp_path: Path) -> None:
    speaker = Speaker("example_thermo")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_bad_frames=5))) as rig:
        client = await speaker.connect(rig)
        client.send(b"\xa5\xc8\x02\x11\x11\x11" * 5)
        assert await client.read_to_end() == b""
        assert rig.closed(CloseReason.FRAME_TOO_LONG) == 1


def noise(count: int, seed: int) -> bytes:
    """Bytes with which no frame of any product begins."""
    starts = {0x78, 0x79, 0x00, 0x7E, 0xA5, 0x7B}
    return bytes(random.Random(seed).choices([value for value in range(256) if value not in starts], k=count))


@pytest.mark.parametrize("name", PRODUCTS)
async def test_garbage_before_and_between_frames(tmp_path: Path, name: str) -> None:
    speaker = Speaker(name)
    async with RunningGateway(tmp_path) as rig:
        client = await rig.connect()
        login, answer = speaker.login()
        await client.ask(noise(100, 1) + login, answer)
        for seed in range(2, 6):
            good, answer = speaker.good(seed)
            await client.ask(noise(100, seed) + good + noise(50, seed), answer)
        await until(lambda: rig.total("iotlink_garbage_bytes_total", product=name) == 700, "all garbage counted")
        assert rig.connections() == 1


async def test_too_much_garbage_ends_the_connection(tmp_path: Path) -> None:
    speaker = Speaker("concox_gt06")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_garbage_bytes=200))) as rig:
        stranger = await rig.connect()
        stranger.send(noise(201, 1))
        assert await stranger.read_to_end() == b""
        assert rig.closed(CloseReason.UNKNOWN_PROTOCOL) == 1
        client = await speaker.connect(rig)
        client.send(noise(201, 2))
        assert await client.read_to_end() == b""
        assert rig.closed(CloseReason.GARBAGE) == 1
        assert rig.total("iotlink_garbage_bytes_total", product="unknown") == 201
        assert rig.total("iotlink_garbage_bytes_total", product="concox_gt06") == 201


async def test_any_bytes_harm_nobody_else(tmp_path: Path) -> None:
    """Strangers send whatever there is, starts of frames and pieces of good ones among it."""
    source = random.Random(5)
    speakers = [Speaker(name) for name in PRODUCTS]
    shreds = [
        part for speaker in speakers for frame in (speaker.login()[0], speaker.good()[0]) for part in (frame, frame[:7])
    ]

    def rubbish() -> bytes:
        parts = [source.choice([source.randbytes(source.randrange(1, 60)), *shreds]) for _ in range(60)]
        return b"".join(parts)

    async with RunningGateway(tmp_path, config(tmp_path, listener(max_connections=400))) as rig:
        good = [Speaker(name, number=77) for name in PRODUCTS]
        clients = [await speaker.connect(rig) for speaker in good]
        with capture_logs() as logs:

            async def bother() -> None:
                stranger = await rig.connect()
                stranger.send(rubbish())
                if source.random() < 0.5:
                    stranger.end()
                    await stranger.read_to_end()
                await stranger.abort()

            for _ in range(6):
                await asyncio.gather(*(bother() for _ in range(20)))
                for client, speaker in zip(clients, good, strict=True):
                    await assert_works(client, speaker)
        assert rig.closed(CloseReason.INTERNAL_ERROR) == 0
        failures = {"session_failed", "pipeline_failed", "outbox_failed", "on_settled_failed"}
        assert [line for line in logs if line["event"] in failures] == []


# Who says nothing, or not enough


async def test_half_a_frame_and_then_silence(tmp_path: Path) -> None:
    speaker = Speaker("jtt_808")
    half = speaker.good()[0][:9]
    with capture_logs() as logs:
        async with RunningGateway(tmp_path, config(tmp_path, listener(idle_timeout_s=1.0, login_timeout_s=1.0))) as rig:
            stranger = await rig.connect()
            stranger.send(speaker.login()[0][:9])
            client = await speaker.connect(rig)
            client.send(half)
            assert await client.read_to_end() == await stranger.read_to_end() == b""
            assert (rig.closed(CloseReason.IDLE_TIMEOUT), rig.closed(CloseReason.LOGIN_TIMEOUT)) == (1, 1)
            assert rig.letters() == []
    ended = {line["reason"]: line for line in logs if line["event"] == "connection_closed"}
    assert {reason: line["unfinished_bytes"] for reason, line in ended.items()} == {
        "idle_timeout": 9,
        "login_timeout": 9,
    }
    assert ended["idle_timeout"]["peer"] == client.address


async def test_a_thousand_that_never_log_in(tmp_path: Path) -> None:
    """They are closed at the deadline, and a device that logged in works before, meanwhile and after."""
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * count + 400  # both ends are in this process
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    speaker = Speaker("teltonika_codec8")
    settings = config(tmp_path, listener(login_timeout_s=2.0, max_connections=count + 10))
    async with RunningGateway(tmp_path, settings) as rig:
        client = await speaker.connect(rig)
        strangers = [await rig.connect() for _ in range(count)]
        for index, stranger in enumerate(strangers):
            stranger.send(b"\x78\x78"[: index % 3])  # nothing, or the beginning of something
        served = 0
        while rig.connections() > 1:
            await assert_works(client, speaker)
            served += 1
        assert served > 2
        assert rig.closed(CloseReason.LOGIN_TIMEOUT) == count
        for stranger in strangers:
            assert await stranger.read_to_end() == b""
        await assert_works(client, speaker)
        assert rig.sums().received == served + 2


async def test_data_before_login_is_not_kept(tmp_path: Path) -> None:
    speaker = Speaker("concox_gt06")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_bad_frames=4))) as rig:
        client = await rig.connect()
        client.send(speaker.good()[0] + speaker.corrupt() + speaker.odd()[0])
        await rig.settled(3)
        await client.ask(*speaker.login())
        await assert_works(client, speaker)
        stranger = await rig.connect()
        stranger.send(speaker.good()[0] * 4)
        assert await stranger.read_to_end() == b""
        assert rig.closed(CloseReason.TOO_MANY_BAD_FRAMES) == 1
        assert rig.total("iotlink_uplinks_refused_total", reason="not_identified") == 7
        assert rig.letters() == []
        await rig.delivered()
        assert len(rig.records()) == 1


async def test_who_is_not_in_the_list_is_refused(tmp_path: Path) -> None:
    known, stranger = Speaker("concox_gt06", 1), Speaker("concox_gt06", 2)
    other = Speaker("teltonika_codec8", 1)  # known, as another product
    entries = "".join(f'- {{id: "{speaker.device_id}", product: concox_gt06}}\n' for speaker in (known, other))
    (tmp_path / "devices.yaml").write_text(entries, "utf-8")
    settings = config(tmp_path, provisioning="known")
    settings["gateway"]["devices_file"] = str(tmp_path / "devices.yaml")
    async with RunningGateway(tmp_path, settings) as rig:
        for speaker in (stranger, other):
            client = await rig.connect()
            client.send(speaker.login()[0] + speaker.good()[0])
            assert await client.read_to_end() == b""
        await assert_works(await known.connect(rig), known)
        assert rig.closed(CloseReason.REFUSED) == 2
        assert rig.total("iotlink_uplinks_refused_total", reason="unknown_device") == 1
        assert rig.total("iotlink_uplinks_refused_total", reason="wrong_product") == 1
        assert rig.letters() == []


# Who asks for too much


async def test_a_second_device_with_the_same_identity_takes_over(tmp_path: Path) -> None:
    speaker = Speaker("concox_gt06")
    async with RunningGateway(tmp_path) as rig:
        older = await speaker.connect(rig)
        await older.ask(*speaker.good(2))
        newer = await speaker.connect(rig)
        assert await older.read_to_end() == b""
        assert rig.closed(CloseReason.TAKEOVER) == 1
        await newer.ask(*speaker.good(3))
        await rig.delivered()
        assert len(rig.records()) == 2
        assert rig.gateway.sessions.find(DeviceKey("", speaker.device_id)) is not None

        crowd = [await rig.connect() for _ in range(20)]
        for client in crowd:
            client.send(speaker.login()[0])
        await until(lambda: rig.closed(CloseReason.TAKEOVER) == 21, "all but one are gone")
        assert (rig.connections(), len(rig.gateway.sessions)) == (1, 1)


async def test_who_never_reads_replies_is_held_back_and_then_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_buffers(connection: socket.socket, options: StreamOptions) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # or the kernel takes millions of answers

    monkeypatch.setattr("gateway.ingress.stream_face._set_socket_options", small_buffers)
    speaker, other = Speaker("jtt_808"), Speaker("example_thermo")
    frame, answer = speaker.good()
    async with RunningGateway(tmp_path) as rig:
        bystander = await other.connect(rig)
        client = await speaker.connect(rig, buffer_bytes=16_384)
        counters = rig.gateway.metrics.listener("trackers")
        sent = 0

        async def send_until_held() -> None:
            """Sends until the gateway reads no more, and the network takes no more either."""
            nonlocal sent
            while not (counters.paused and client.writer.transport.get_write_buffer_size() > 200_000):
                client.send(frame * 200)
                sent += 200
                await asyncio.sleep(0)

        async with asyncio.timeout(GUARD_S):
            await send_until_held()
        await until(lambda: rig.sums().in_flight == 0, "what was read is answered")
        assert rig.sums().received < sent
        await rig.delivered()
        assert rig.total("iotlink_sink_window_bytes") == 0
        await assert_works(bystander, other)

        assert await client.read(sent * len(answer)) == answer * sent  # now it reads: no answer is missing
        assert counters.paused == 0

        async with asyncio.timeout(GUARD_S):
            await send_until_held()
        rig.pass_time(31)
        await until(lambda: rig.closed(CloseReason.SLOW_READER) == 1, "the slow reader is cut")
        await assert_works(bystander, other)


async def test_connections_per_address(tmp_path: Path) -> None:
    speaker = Speaker("example_thermo")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_connections_per_ip=2))) as rig:
        first = await Speaker("example_thermo", 1).connect(rig)
        await Speaker("example_thermo", 2).connect(rig)
        third = await rig.connect()
        assert await third.read_to_end() == b""
        assert rig.closed(CloseReason.PER_IP_LIMIT) == 1
        elsewhere = await Speaker("example_thermo", 3).connect(rig, source="127.0.0.2")
        await assert_works(elsewhere, speaker)
        await first.abort()
        await until(lambda: rig.connections() == 2, "the first is gone")
        again = await Speaker("example_thermo", 4).connect(rig)
        await assert_works(again, speaker)


async def test_connections_in_all(tmp_path: Path) -> None:
    speaker = Speaker("example_thermo")
    async with RunningGateway(tmp_path, config(tmp_path, listener(max_connections=3))) as rig:
        clients = [await Speaker("example_thermo", number).connect(rig) for number in (1, 2, 3)]
        fourth = await rig.connect()
        assert await fourth.read_to_end() == b""
        assert rig.closed(CloseReason.CONNECTION_LIMIT) == 1
        for client in clients:
            await assert_works(client, speaker)
        await clients[0].abort()
        await until(lambda: rig.connections() == 2, "one is gone")
        again = await Speaker("example_thermo", 5).connect(rig)
        await assert_works(again, speaker)
