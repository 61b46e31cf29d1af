"""TCP listeners out of the settings: who may speak there, and what each setting becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.tcp import make_tcp
from gateway.devices.sessions import SessionRegistry
from gateway.domain.errors import CloseReason, ConfigError
from gateway.ingress.tcp import TcpServer
from gateway.protocol.session_ports import SessionLimits
from tests.e2e import frames
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, parts_of
from tests.gateway.ingress.rig import Peer, open_socket, until
from tests.gateway.ingress.tls_files import Files


def listener(**more: Any) -> Json:
    return {"tcp": {"listeners": [{"name": "t", "port": 0, **more}]}}


def made(folder: Path, sections: Json) -> TcpServer:
    return make_tcp(parts_of(folder, sections), SessionRegistry())


async def test_every_limit_reaches_the_listener(tmp_path: Path) -> None:
    limits = {"login_timeout_s": 1.5, "idle_timeout_s": 2.5, "frames_in_flight": 3}
    limits |= {"max_bad_frames": 4, "max_garbage_bytes": 5, "max_connections": 6}
    (found,) = made(tmp_path, listener(**limits)).listeners
    options: Any = found.options
    assert options.limits == SessionLimits(
        login_timeout_ms=1500, idle_timeout_ms=2500, frames_in_flight=3, max_bad_frames=4, max_garbage_bytes=5
    )
    assert (options.name, options.max_connections, options.setting) == ("t", 6, "tcp.listeners.0")


async def test_products_have_their_series_from_the_start(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, listener())
    make_tcp(parts, SessionRegistry())
    received = next(family for family in parts.metrics.collect() if family.name == "iotlink_uplinks_received")
    assert {sample.labels["product"] for sample in received.samples} == {"unknown", "example_thermo"}


@pytest.mark.parametrize(("limit", "cut"), [(16, True), (65_536, False)])
async def test_a_frame_limit_of_the_listener_lowers_the_products(tmp_path: Path, limit: int, cut: bool) -> None:
    parts = parts_of(tmp_path, listener(max_frame_bytes=limit, max_garbage_bytes=0))
    server = make_tcp(parts, SessionRegistry())
    await server.start()
    login = frames.thermo_login("004512345678")
    assert len(login) == 18
    try:
        peer = Peer(*await open_socket(server.listeners[0].addresses[0]))
        peer.send(login)
        answer = await (peer.read_to_end() if cut else peer.read_exactly(len(frames.thermo_answer())))
        assert answer == (b"" if cut else frames.thermo_answer())
        peer.writer.transport.abort()
        await until(lambda: not server.listeners[0].connections)
    finally:
        await server.drain(0)
    assert parts.metrics.listener("t").closed[CloseReason.GARBAGE] == cut


@pytest.mark.parametrize(
    ("products", "words", "line"),
    [
        (["example_thermo", "example_termo"], r"products\[1\]: .*did you mean `example_thermo`", "example_termo"),
        (["dragino_lht65"], r"products\[0\]: .*does not speak tcp", "dragino_lht65"),
    ],
)
async def test_a_product_that_cannot_speak_there_is_placed(
    tmp_path: Path, products: list[str], words: str, line: str
) -> None:
    sections = listener(products=products)
    with pytest.raises(ConfigError, match=words) as caught:
        made(tmp_path, sections)
    assert line_of(tmp_path, sections, caught.value) == line


async def test_a_catalog_without_any_is_an_error(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, listener())
    parts.catalog = parts.catalog.of([parts.catalog.find("dragino_lht65")])
    with pytest.raises(ConfigError, match=r"tcp\.listeners\[0\]\.products: no product speaks TCP") as caught:
        make_tcp(parts, SessionRegistry())
    assert caught.value.setting == "tcp.listeners.0.products"


async def test_a_login_is_compared_with_the_certificate_by_the_settings_of_auth(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = {"cert_file": str(files.cert), "key_file": str(files.key), "client_ca_file": str(files.client_ca)}
    sections = listener(tls={**tls, "client_auth": "required"})
    sections["auth"] = {"certificate_prefix": "plant-"}
    parts = parts_of(tmp_path, sections)
    server = make_tcp(parts, SessionRegistry())
    await server.start()
    try:
        for name, answer in (("plant-004512345678", frames.thermo_answer()), ("004512345678", b""), ("plant-1", b"")):
            peer = Peer(*await open_socket(server.listeners[0].addresses[0], files.client(name=name)))
            peer.send(frames.thermo_login("004512345678"))
            assert await (peer.read_exactly(len(answer)) if answer else peer.read_to_end()) == answer
            peer.writer.transport.abort()
        await until(lambda: not server.listeners[0].connections)
    finally:
        await server.drain(0)
    refused = parts.metrics.traffic("t", "example_thermo").refused
    assert (refused["certificate_names_nobody"], refused["certificate_differs"]) == (1, 1)
