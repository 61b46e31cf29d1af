"""Nothing is opened to other machines by accident, and what contradicts itself is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import load_settings
from gateway.settings.rules import is_loopback

TLS = "tls: {cert_file: c, key_file: k}"


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    try:
        load_settings(file, [], {})
    except ConfigError as error:
        return str(error).replace(f"{tmp_path}/", "").splitlines()
    return []


def listener(keys: str) -> str:
    return f"tcp:\n  listeners:\n    - {{name: a, {keys}}}\n"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_off_loopback_needs_auth_and_a_word_about_encryption(tmp_path: Path) -> None:
    assert problems(tmp_path, listener("host: 0.0.0.0")) == [
        "c.yaml:3:23: tcp.listeners[0].host: the listener `a` on 0.0.0.0 can be reached from other machines, and "
        "nothing says who may send (write `auth: {devices: open}` (or `credentials`), or bind to 127.0.0.1)",
        "c.yaml:3:23: tcp.listeners[0].host: the listener `a` on 0.0.0.0 can be reached from other machines without "
        "encryption (give it `tls`, or write `plaintext: true` if that is meant)",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (listener("host: 0.0.0.0, plaintext: true"), 1),
        (listener("host: 0.0.0.0, plaintext: true") + "auth: {}\n", 1),
        (listener("host: 0.0.0.0") + "auth: {devices: open}\n", 1),
        (listener("host: 0.0.0.0, plaintext: true") + "auth: {devices: open}\n", 0),
        (listener(f"host: 0.0.0.0, {TLS}") + "auth: {devices: open}\n", 0),
        (listener("host: 127.0.0.1"), 0),
        ("observe: {host: 0.0.0.0}\n", 0),
    ],
)
def test_exposure(tmp_path: Path, text: str, count: int) -> None:
    assert len(problems(tmp_path, text)) == count


def test_exposure_without_a_file_is_refused_as_well() -> None:
    with pytest.raises(ConfigError, match=r"^--set tcp\.listeners\.0\.host: tcp\.listeners\[0\]\.host: the listener"):
        load_settings(None, ["tcp.listeners.0.host=0.0.0.0"], {})
    overrides = ["tcp.listeners.0.host=0.0.0.0", "tcp.listeners.0.plaintext=true"]
    assert load_settings(None, overrides, {"IOTLINK_AUTH__DEVICES": "open"}).settings.auth.devices == "open"


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ("tls: {cert_file: c, key_file: k, client_auth: required}", "3:63", "`client_auth: required` needs"),
        ("tls: {cert_file: c, key_file: k, client_ca_file: x}", "3:66", "without `client_auth` no client certificate"),
        (f"plaintext: true, {TLS}", "3:28", "the listener has `tls` and says `plaintext: true`"),
    ],
)
def test_tls_that_contradicts_itself(tmp_path: Path, keys: str, place: str, message: str) -> None:
    (problem,) = problems(tmp_path, listener(keys))
    assert problem.startswith(f"c.yaml:{place}: ")
    assert message in problem


def test_listeners_do_not_collide(tmp_path: Path) -> None:
    text = "tcp:\n  listeners:\n    - {name: a, port: 7}\n    - {name: a, port: 7}\n    - {name: c, port: 9464}\n"
    assert problems(tmp_path, text) == [
        "c.yaml:4:14: tcp.listeners[1].name: the name `a` is taken by another listener",
        "c.yaml:4:23: tcp.listeners[1].port: 127.0.0.1:7 is taken by the listener `a` already",
        "c.yaml:5:23: tcp.listeners[2].port: 127.0.0.1:9464 is taken by `observe` already",
    ]
    assert problems(tmp_path, "tcp: {listeners: [{name: a, port: 0}, {name: b, port: 0}]}\n") == []


def test_the_admin_api_stays_on_this_machine(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "admin: {host: 0.0.0.0, port: 1}\n")
    assert problem.startswith("c.yaml:1:15: admin.host: the operations API on 0.0.0.0 could be reached from other")
    assert "API keys come with a later version" in problem
    assert problems(tmp_path, "observe: {port: 9465}\n") != []
    assert problems(tmp_path, listener("port: 9465")) == [
        "c.yaml:3:23: tcp.listeners[0].port: 127.0.0.1:9465 is taken by `admin` already"
    ]
    for text in ("admin: {port: 0}\n", "admin: null\n", "admin: {enabled: false, host: 0.0.0.0}\n"):
        assert problems(tmp_path, text) == []
    assert problems(tmp_path, "admin: null\nobserve: {port: 9465}\n") == []


def test_at_least_one_sink(tmp_path: Path) -> None:
    assert problems(tmp_path, "sinks: {}\n") == [
        "c.yaml:1:8: sinks: no sink: records would have nowhere to go (add one of type file or kinesis)"
    ]


def test_sinks_do_not_share_what_they_write_to(tmp_path: Path) -> None:
    text = "sinks: {a: {type: file, dir: x}, b: {type: file, dir: ./x}, c: {type: stdout}, d: {type: stdout}}\n"
    assert problems(tmp_path, text + "routes: [{to: [a, b, c, d]}]\n") == [
        "c.yaml:1:55: sinks.b.dir: x is the folder of `a` already",
        "c.yaml:1:80: sinks.d: `c` writes to stdout already",
    ]


def test_several_sinks_need_routes(tmp_path: Path) -> None:
    two = "sinks:\n  a: {type: file}\n  b: {type: file}\n"
    assert problems(tmp_path, two) == [
        "c.yaml:2:3: sinks: several sinks, and no `routes` say what goes where (write `routes: [{to: [a, b]}]`)"
    ]
    assert problems(tmp_path, two + "routes: [{to: [a]}]\n") == []
    assert problems(tmp_path, two + "raw_archive: {enabled: true, sink: b}\n") == []
    assert problems(tmp_path, two + "dead_letters: {also_to: b}\n") == []


def test_routes_name_sinks_and_take_every_record(tmp_path: Path) -> None:
    one = "sinks: {a: {type: file}}\n"
    assert problems(tmp_path, one + "routes: [{to: [a]}, {types: [alert], to: [a, b, a]}]\n") == [
        "c.yaml:2:10: routes[0]: this route takes every record: those behind it never get one (put it last)",
        "c.yaml:2:21: routes[1]: the last route does not take every record: some would have nowhere to go "
        "(add one with `to` alone)",
        "c.yaml:2:46: routes[1].to[1]: there is no sink `b` (sinks are: a)",
        "c.yaml:2:49: routes[1].to[2]: `a` stands there twice",
    ]
    assert problems(tmp_path, one + "routes: [{types: [temperature], to: [a]}, {to: []}]\n") == [
        "c.yaml:2:19: routes[0].types[0]: expected 'telemetry', 'event', 'alert', 'control', 'firmware', 'file', "
        "'master', 'presence' or 'log', got the text 'temperature'",
        "c.yaml:2:48: routes[1].to: expected at least 1 items, got an empty list",
    ]


def test_special_sinks_exist(tmp_path: Path) -> None:
    one = "sinks: {a: {type: file}}\n"
    assert problems(tmp_path, one + "raw_archive: {enabled: true}\ndead_letters: {also_to: x}\n") == [
        "c.yaml:2:14: raw_archive: no `sink` says where frames go (name one of: a)",
        "c.yaml:3:25: dead_letters.also_to: there is no sink `x` (sinks are: a)",
    ]


def test_a_spool_holds_some_segments(tmp_path: Path) -> None:
    assert problems(tmp_path, "spool: {max_bytes: 64MiB}\n") == [
        "c.yaml:1:20: spool.max_bytes: `max_bytes` (67108864) holds fewer than four files of `segment_bytes` "
        "(33554432) (raise `max_bytes` or lower `segment_bytes`)"
    ]
    assert problems(tmp_path, "spool: {max_bytes: 64MiB, segment_bytes: 16MiB}\n") == []


MQTT = "mqtt:\n  listeners:\n    - {{name: m, {}}}\n"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"


def test_mqtt_listeners_are_held_to_the_same_rules(tmp_path: Path) -> None:
    found = problems(tmp_path, MQTT.format("host: 0.0.0.0, port: 5023") + listener("port: 5023, host: 0.0.0.0"))
    assert [line.split(": ")[1] for line in found] == [
        "mqtt.listeners[0].host",
        "mqtt.listeners[0].host",
        "mqtt.listeners[0].port",
        "tcp.listeners[0].host",
        "tcp.listeners[0].host",
    ]
    assert problems(tmp_path, MQTT.format("transport: websocket, proxy_protocol: true")) == [
        "c.yaml:3:55: mqtt.listeners[0].proxy_protocol: a WebSocket listener takes no PROXY header (remove this key)"
    ]
    (problem,) = problems(tmp_path, MQTT.format('allowed_origins: ["*"]'))
    assert "mqtt.listeners[0].allowed_origins: only pages that open a WebSocket have an origin" in problem
    assert problems(tmp_path, MQTT.format('transport: websocket, allowed_origins: ["*"]')) == []
    two = "mqtt:\n  listeners:\n    - {name: a}\n    - {name: b, transport: websocket}\n    - {name: c}\n"
    assert problems(tmp_path, two) == [
        "c.yaml:5:7: mqtt.listeners[2].port: 127.0.0.1:1883 is taken by the listener `a` already"
    ]


def test_credentials_need_somebody_who_has_some(tmp_path: Path) -> None:
    text = "auth: {devices: credentials}\n" + MQTT.format("port: 0")
    (problem,) = problems(tmp_path, text)
    assert "no MQTT client could be let in" in problem
    for proof in (
        "auth: {devices: credentials, clients: [{id: erp, password: '" + HASH + "'}]}\n",
        "auth: {devices: credentials, jwt: [{issuer: i, audience: a, jwks_file: k.json}]}\n",
        "gateway: {devices_file: d.yaml}\nauth: {devices: credentials}\n",
    ):
        assert problems(tmp_path, proof + MQTT.format("port: 0")) == []


def test_clients_and_issuers(tmp_path: Path) -> None:
    both = "{issuer: i, audience: a, jwks_file: k.json, jwks_url: 'https://x/y'}"
    text = (
        f"auth:\n  clients:\n    - {{id: a, password: secret}}\n    - {{id: a, password: '{HASH}'}}\n  jwt: [{both}]\n"
    )
    assert [line.split(": ", 1)[1] for line in problems(tmp_path, text)] == [
        "auth.clients[0].password: the hash of a password was expected (`iotlink devices password` makes one)",
        "auth.clients[1].id: there is a client `a` already",
        "auth.jwt[0]: one of `jwks_url` and `jwks_file` was expected",
    ]


def test_sources(tmp_path: Path) -> None:
    text = (
        "tcp: {listeners: [{name: a}]}\n"
        "sources:\n"
        "  - {type: mqtt_broker, name: a, url: 'mqtt://broker:1883', password: x, tls: {cert_file: c}}\n"
    )
    assert [line.split(": ", 1)[1] for line in problems(tmp_path, text)] == [
        "sources[0].name: the name `a` is taken by a listener or another source",
        "sources[0].password: a password without `username`",
        "sources[0].tls: `tls` with a url of `mqtt://` (write `mqtts://`)",
        "sources[0].tls: `cert_file` and `key_file` belong together",
    ]


def test_a_drain_leaves_time_for_the_records(tmp_path: Path) -> None:
    assert problems(tmp_path, "drain: {notice_s: 15, spread_s: 20, limit_s: 110}\n") == []
    (problem,) = problems(tmp_path, "drain: {notice_s: 15, spread_s: 20}\n")
    assert problem.startswith("c.yaml:1:33: drain.spread_s: `notice_s` and `spread_s` (35 s together) leave nothing")
    (problem,) = problems(tmp_path, "drain: {limit_s: 4}\n")
    assert problem.startswith("c.yaml:1:18: drain.limit_s: ")
