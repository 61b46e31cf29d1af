"""A fleet that sends every good golden frame of the shipped products, and knows what must come of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from decoders.framing.framer import cut
from decoders.golden import GoldenCase, same
from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from tests.e2e import frames
from tests.e2e.rig import Json, RunningGateway, catalog, product

DEVICES_PER_PRODUCT = 3

_WHAT_IT_SAYS = (
    *("type", "device_id", "hub_id", "childDeviceId", "productId", "device_timestamp", "hub_timestamp"),
    *("metrics", "data", "units", "measurement", "message", "spec_version", "data_type"),
)


@dataclass(slots=True)
class Exchange:
    """One frame, the answer to it, and what its records say."""

    frame: bytes
    answer: bytes
    records: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Script:
    """One device's connection: it logs in, then sends. name: the id that it logs in with."""

    product: str
    name: str
    login: Exchange
    exchanges: list[Exchange]

    @property
    def frames(self) -> int:
        return 1 + len(self.exchanges)

    @property
    def records(self) -> list[Json]:
        return [record for exchange in (self.login, *self.exchanges) for record in exchange.records]


Step = Callable[[Script, int], None]
"""Called when a frame of a script was answered, with the number of records that are durable by then."""


def good_cases(name: str) -> list[GoldenCase]:
    """All but those that are answered with the time of the moment."""
    return [case for case in catalog().find(name).cases() if case.error is None and case.message != "time_request"]


def broken_cases(name: str) -> list[GoldenCase]:
    return [case for case in catalog().find(name).cases() if case.error is not None]


def sender_of(name: str, case: GoldenCase) -> str:
    """The id that the frame itself gives whoever holds the connection; "" when a login must stand before it."""
    found = product(name)
    identity = found.identity(found.decode(cut(found.framing, case.wire), SessionContext()))
    return identity.hub_id or identity.device_id if identity is not None else ""


def scripts(devices: int = DEVICES_PER_PRODUCT) -> list[Script]:
    """One connection per device; of each product at least so many devices."""
    made: list[Script] = []
    for index in range(devices):
        imei, hub = f"35999900000{index:04d}", f"00451234{index:04d}"
        made.append(_script("concox_gt06", imei, Exchange(frames.gt06_login(imei), frames.gt06(0x01))))
        made.append(_script("example_thermo", hub, Exchange(frames.thermo_login(hub), frames.thermo_answer())))
        imei = f"35210000000{index:04d}"
        made.append(_script("teltonika_codec8", imei, Exchange(frames.teltonika_login(imei), b"\x01")))
    for index, zone_s in enumerate(
        sorted({case.session["zone_s"] for case in good_cases("concox_gt06") if case.session})
    ):
        imei = f"35999900001{index:04d}"
        login = Exchange(frames.gt06_login(imei, zone_s=zone_s), frames.gt06(0x01))
        made.append(_script("concox_gt06", imei, login, {"zone_s": zone_s}))
    for name in ("concox_gt06", "teltonika_codec8", "example_thermo"):
        made += _golden_logins(name)
    made += _jtt808()
    return made


def _script(name: str, device_id: str, login: Exchange, session: Json | None = None) -> Script:
    """A device that logs in and then sends all golden frames that are no logins themselves.

    session: what the login told, and the frames rely on.
    """
    mine = [case for case in good_cases(name) if case.session == (session or {}) and not sender_of(name, case)]
    cases = {case.wire: case for case in mine}.values()  # the same frame again would be a copy
    hub = device_id if name == "example_thermo" else ""
    return Script(name, device_id, login, [_exchange(name, case, device_id, hub) for case in cases])


def _golden_logins(name: str) -> Iterator[Script]:
    """Devices that golden frames name, each with its frames."""
    for device_id, cases in _by_sender(name).items():
        first, *others = [_exchange(name, case, device_id) for case in cases]
        yield Script(name, device_id, first, others)


def _jtt808() -> Iterator[Script]:
    """All its frames name their device, which authenticates first."""
    name = "jtt_808"
    for device_id, cases in _by_sender(name).items():
        login = frames.jtt808_login(frames.jtt808_header(cases[0].wire)[1])
        exchanges = [_exchange(name, case, device_id) for case in cases]
        yield Script(name, device_id, Exchange(login, frames.jtt808_answer(login)), exchanges)


def _by_sender(name: str) -> dict[str, list[GoldenCase]]:
    found: dict[str, list[GoldenCase]] = {}
    for case in good_cases(name):
        if device_id := sender_of(name, case):
            found.setdefault(device_id, []).append(case)
    return found


_JTT808_ANSWERED = frozenset({0x0002, 0x0003, 0x0100, 0x0102, 0x0200, 0x0201, 0x0500, 0x0704, 0x0900})


def _exchange(name: str, case: GoldenCase, device_id: str, hub: str = "") -> Exchange:
    context = case.context()
    context.device_id = device_id
    read = Preview(product(name)).read(case.wire, context, 0)
    assert read["ok"], f"{name}: {case.name}: {read}"
    records = [{**record, "hub_id": hub} if hub else record for record in read["records"]]
    for metrics, record in zip(case.records or (), records, strict=False):
        assert same(metrics, record["metrics"]), f"{name}: {case.name}"
    if case.replies is not None:
        answer = bytes.fromhex("".join(case.replies))
    elif name == "concox_gt06":
        answer = frames.gt06_answer(case.wire)
    else:  # frames from the tests of a library that answers nobody
        assert name == "jtt_808", f"{name}: {case.name} does not say what is answered"
        answered = frames.jtt808_header(case.wire)[0] in _JTT808_ANSWERED
        answer = frames.jtt808_answer(case.wire) if answered else b""
    return Exchange(case.wire, answer, [what_it_says(record) for record in records])


def what_it_says(record: Json) -> Json:
    """A record without what depends on the gateway and on the moment."""
    return {key: record[key] for key in _WHAT_IT_SAYS if key in record}


# Playing


async def play_at_once(rig: RunningGateway, script: Script, seed: int, listener: str) -> None:
    """Sends everything in pieces of any size without waiting, then sends no more; checks every byte that comes back."""
    client = await rig.connect(listener)
    await client.ask(script.login.frame, script.login.answer)
    stream = b"".join(exchange.frame for exchange in script.exchanges)
    for piece in pieces(stream, random.Random(seed)):
        client.send(piece)
        await client.writer.drain()
    client.end()
    answers = b"".join(exchange.answer for exchange in script.exchanges)
    assert (await client.read_to_end()).hex() == answers.hex(), f"{script.product} {script.name}"


async def play_in_steps(rig: RunningGateway, script: Script, step: Step, listener: str) -> None:
    """Sends each frame when the one before has been answered."""
    client = await rig.connect(listener)
    count = 0
    for exchange in (script.login, *script.exchanges):
        count += len(exchange.records)
        await client.ask(exchange.frame, exchange.answer)
        if exchange.answer:
            step(script, count)
    client.end()
    assert await client.read_to_end() == b"", f"{script.product} {script.name}"


def pieces(stream: bytes, source: random.Random) -> Iterator[bytes]:
    """The stream cut as a network might: mostly around a frame's size, some bytes alone, some hundreds together."""
    at = 0
    while at < len(stream):
        size = source.choice((1, 3, 20, 60, 200, 700))
        yield stream[at : at + size]
        at += size


def sum_of_frames(played: Sequence[Script]) -> int:
    return sum(script.frames for script in played)


def sum_of_records(played: Sequence[Script]) -> int:
    return sum(len(script.records) for script in played)
