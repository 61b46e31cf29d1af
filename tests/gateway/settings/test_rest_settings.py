"""REST in the configuration: defaults, and what a listener that others can reach needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import load_settings
from gateway.settings.limits import needed_files
from gateway.settings.model import OWN_FILES

OFF_LOOPBACK = "rest: {listeners: [{name: rest, host: 0.0.0.0, plaintext: true}]}\n"


def loaded(tmp_path: Path, text: str) -> str:
    """What is wrong with it, without its file."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    try:
        load_settings(file, [], {})
    except ConfigError as error:
        return str(error).replace(f"{tmp_path}/", "")
    return ""


def test_without_a_configuration_it_listens_on_loopback() -> None:
    settings = load_settings(None, [], {}).settings
    (listener,) = settings.rest.listeners
    assert (listener.host, listener.port, listener.tls) == ("127.0.0.1", 8080, None)
    assert settings.auth.anonymous_rest is None


def test_a_face_that_is_mentioned_alone(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("rest: {max_item_bytes: 2MiB}\n")
    settings = load_settings(file, [], {}).settings
    assert [listener.port for listener in settings.rest.listeners] == [8080]
    assert not settings.tcp.listeners
    assert settings.rest.max_item_bytes == 2 << 20
    assert needed_files(settings) == 1000 + OWN_FILES


@pytest.mark.parametrize(
    "auth",
    [
        "{anonymous_rest: true}",
        "{key_file: keys.json}",
        "{clients: [{id: a, hmac: {secrets: [abc]}}]}",
        "{clients: [{id: a, api_key_sha256: " + "a" * 64 + "}]}",
        "{clients: [{id: a, api_key_sha256: [" + "b" * 64 + "], expires: 2027-01-01, devices: ['truck-*']}]}",
        "{jwt: [{issuer: i, audience: a, jwks_url: 'https://i/', roles: {ADMIN: [operate]}}]}",
    ],
)
def test_off_loopback_somebody_must_be_named(tmp_path: Path, auth: str) -> None:
    assert "nothing says who may call" in loaded(tmp_path, OFF_LOOPBACK)
    assert loaded(tmp_path, f"{OFF_LOOPBACK}auth: {auth}\n") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rest: {listeners: [{name: rest, host: 0.0.0.0}]}\nauth: {anonymous_rest: true}\n", "without encryption"),
        ("rest: {max_item_bytes: 9MiB}\n", "`max_item_bytes` (9437184) is above `max_body_bytes` (8388608)"),
        ("rest: {max_body_bytes: 1000}\n", "rest.max_body_bytes: `max_item_bytes` (1048576) is above"),
        ("rest: {stream_from_bytes: 9MiB}\n", "rest.stream_from_bytes: it is above `max_body_bytes` (8388608)"),
        ("auth: {clients: [{id: a}]}\n", "nothing says how `a` proves itself"),
        ("auth: {clients: [{id: a, api_key_sha256: abc}]}\n", "api_key_sha256"),
        ("auth: {clients: [{id: a, hmac: {secrets: ['']}}]}\n", "a secret is empty"),
        ("auth: {clients: [{id: a, hmac: {secrets: [x]}, expires: soon}]}\n", "`soon` is no date or time"),
        ("auth: {clients: [{id: a, hmac: {secrets: [x]}, devices: ['a*b']}]}\n", "a `*` stands at the end"),
        ("auth: {jwt: [{issuer: i, audience: a, jwks_url: 'https://i/', devices: ['*a']}]}\n", "a `*` stands at the"),
        (
            "rest: {listeners: [{name: a, port: 8080}, {name: b, port: 8080}]}\n",
            "127.0.0.1:8080 is taken by the listener `a` already",
        ),
    ],
)
def test_rules(tmp_path: Path, text: str, said: str) -> None:
    assert said in loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("origin", "right"),
    [
        ("https://dash.example.com", True),
        ("http://127.0.0.1:3000", True),
        ("https://[::1]:8443", True),
        ("*", False),
        ("https://dash.example.com/", False),
        ("https://Dash.example.com", False),
        ("dash.example.com", False),
        ("null", False),
    ],
)
def test_sites_whose_pages_may_call(tmp_path: Path, origin: str, right: bool) -> None:
    wrong = loaded(tmp_path, f"rest: {{listeners: [{{name: rest, allowed_origins: ['{origin}']}}]}}\n")
    assert ("scheme, host and port of a site" in wrong) is not right
    assert bool(wrong) is not right
