"""Existing brokers out of the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.app.sources import make_sources
from gateway.app.topics import Topics
from gateway.devices.presence import Presence
from gateway.domain.errors import ConfigError
from gateway.ingress.broker_source import BrokerSources
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, parts_of
from tests.gateway.ingress.tls_files import Files


def source(**more: Any) -> Json:
    first = {"type": "mqtt_broker", "name": "first", "url": "mqtt://broker.example"}
    return {"sources": [first, {**first, "name": "plant", **more}]}


def made(folder: Path, sections: Json) -> BrokerSources:
    parts = parts_of(folder, sections)
    found = make_sources(parts, Topics(parts, Presence()), "gw-7")
    assert found is not None
    return found


async def test_without_sources_there_is_nothing(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, {})
    assert make_sources(parts, Topics(parts, Presence()), "gw-7") is None


async def test_what_is_not_said_follows_from_the_rest(tmp_path: Path) -> None:
    sections = source() | {"mqtt": {"listeners": [], "topics": [{"template": "plant/{device_id}"}]}}
    first, second = (item.options for item in made(tmp_path, sections).sources)
    assert (first.address.host, first.address.port, first.address.tls) == ("broker.example", 1883, None)
    assert (first.address.client_id, second.address.client_id) == ("gw-7-first", "gw-7-plant")
    assert first.filters[:2] == ("plant/+", "iotlink/+/+/+/+/+/+/+")
    assert (first.qos, first.shared_group, first.tenant, first.retained) == (1, "", "", True)


async def test_every_option_reaches_the_source(tmp_path: Path) -> None:
    files = Files(tmp_path)
    tls = {"ca_file": str(files.client_ca), "cert_file": str(files.cert), "key_file": str(files.key), "alpn": ["mqtt"]}
    login = {"url": "mqtts://b.example:9", "username": "u", "password": "p", "client_id": "c", "tls": tls}
    what = {"filters": ["a/#"], "qos": 2, "shared_group": "g", "tenant": "t", "retained": False, "probe_topic": "p"}
    options = made(tmp_path, source(**login, **what, max_packet_bytes=4096)).sources[1].options
    address = options.address
    assert (address.host, address.port, address.username, address.password) == ("b.example", 9, "u", "p")
    assert (address.client_id, address.max_packet_bytes) == ("c", 4096)
    assert isinstance(address.tls, ssl.SSLContext)
    assert (options.subscriptions, options.qos, options.tenant) == (("$share/g/a/#",), 2, "t")
    assert (options.retained, options.probe) == (False, "p/c")


async def test_the_files_are_checked_before_anything_connects(tmp_path: Path) -> None:
    sections = source(url="mqtts://b", tls={"ca_file": str(tmp_path / "none.pem")})
    with pytest.raises(ConfigError, match=r"sources\.1: tls\.ca_file .*none\.pem: cannot be read") as caught:
        made(tmp_path, sections)
    assert line_of(tmp_path, sections, caught.value).startswith("ca_file: ")


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ({"url": "mqtt://b:99999"}, "url: mqtt://b:99999", "sources.1: url: Port out of range"),
        ({"filters": ["a/b", "a/#/b"]}, "a/#/b", "a wildcard is a whole level"),
        ({"probe_topic": "a/\0"}, 'probe_topic: "a/\\0"', "U+0000"),
        ({"url": "mqtts://b", "tls": {"alpn": ["ä"]}}, '"\\xE4"', "sources.1: tls.alpn: names of ASCII"),
    ],
)
async def test_what_cannot_be_used_is_placed(tmp_path: Path, more: Json, line: str, words: str) -> None:
    sections = source(**more)
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, sections)
    assert words in str(caught.value)
    assert line_of(tmp_path, sections, caught.value) == line
