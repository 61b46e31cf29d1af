"""Who may call the REST API: what the settings of `auth` become."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.access.api_keys import make_api_key
from gateway.access.clients import Client
from gateway.access.scopes import Call
from gateway.app.parts import token_verifier
from gateway.app.rest_access import (
    access_options,
    check_rest,
    key_file_path,
    make_clients,
    make_quotas,
    make_services,
)
from gateway.devices.directory import FileDirectory
from gateway.domain.errors import ConfigError
from gateway.settings.model import Settings
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, loaded_from

HASH = "0" * 64


def settings_of(folder: Path, auth: Json, listener: Json | None = None) -> Settings:
    own = {"name": "rest", "port": 0, **(listener or {})}
    return loaded_from(folder, {"rest": {"listeners": [own]}, "auth": auth}).settings


def test_every_option_of_a_client_counts(tmp_path: Path) -> None:
    key = make_api_key("erp")
    client = {
        "id": "erp",
        "api_key_sha256": [HASH, hashlib.sha256(key.encode()).hexdigest()],
        "hmac": {"secrets": ["s" * 32, "t" * 32], "mode": "body"},
        "scopes": ["ingest", "read"],
        "products": ["generic_json"],
        "devices": ["truck-*"],
        "tenant": "acme",
        "expires": "2027-01-01",
        "quota": {"requests_per_s": 5, "burst_s": 2},
        "certificate": "erp.test",
    }
    clients = make_clients(settings_of(tmp_path, {"clients": [client]}))
    found = clients.by_id("erp")
    assert isinstance(found, Client)
    assert clients.by_key(key) is found
    assert clients.by_certificate("erp.test") is found
    assert found.scope.calls == {Call.INGEST, Call.READ}
    assert found.scope.products == frozenset({"generic_json"})
    assert found.scope.tenant == "acme"
    assert found.scope.devices is not None
    assert found.scope.devices.match("truck-1")
    assert found.expires_unix_s == 1_798_761_600
    assert found.quota is not None
    assert (found.quota.requests_per_s, found.quota.burst_s) == (5, 2)
    assert found.signing is not None
    assert found.signing.secrets == (b"s" * 32, b"t" * 32)


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [("2027-01-01T08:00:00Z", 1_798_790_400), ("2027-01-01T08:00:00+09:00", 1_798_758_000), (None, None)],
)
def test_when_a_client_ends(tmp_path: Path, text: str | None, unix_s: float | None) -> None:
    given = {"id": "a", "api_key_sha256": HASH, "expires": text}
    found = make_clients(settings_of(tmp_path, {"clients": [given]})).by_id("a")
    assert found is not None
    assert found.expires_unix_s == unix_s


def test_where_the_keys_are(tmp_path: Path) -> None:
    assert key_file_path(settings_of(tmp_path, {})) == tmp_path / "data" / "keys.json"
    named = settings_of(tmp_path, {"key_file": str(tmp_path / "k.json")})
    assert key_file_path(named) == tmp_path / "k.json"


CLIENT = {"id": "a", "api_key_sha256": HASH}


@pytest.mark.parametrize(
    ("auth", "host", "allowed"),
    [
        ({}, "127.0.0.1", True),
        ({"anonymous_rest": False}, "127.0.0.1", False),
        ({"anonymous_rest": True, "clients": [CLIENT]}, "0.0.0.0", True),
        ({"clients": [CLIENT]}, "127.0.0.1", False),
        ({"clients": [CLIENT]}, "0.0.0.0", False),
        ({"key_file": "k.json"}, "127.0.0.1", False),
        ({"devices": "credentials"}, "127.0.0.1", False),
    ],
)
def test_who_needs_no_credentials(tmp_path: Path, auth: Json, host: str, allowed: bool) -> None:
    settings = settings_of(tmp_path, auth, {"host": host, "plaintext": True})
    options = access_options(settings, settings.rest.listeners[0])
    assert (options.anonymous is not None) is allowed
    if options.anonymous is not None:
        assert options.anonymous.calls == {Call.INGEST, Call.READ}


def test_issuers(tmp_path: Path) -> None:
    issuer = {
        "issuer": "https://i.test",
        "audience": "a",
        "jwks_url": "https://i.test/keys",
        "roles": {"ADMIN": ["ingest", "read"]},
        "scope_prefix": "x/",
        "devices": ["d-*"],
        "tenant": "acme",
        "quota": {"records_per_day": 9},
    }
    settings = settings_of(tmp_path, {"jwt": [issuer]})
    (rule,) = access_options(settings, settings.rest.listeners[0]).tokens
    assert rule.issuer == "https://i.test"
    assert rule.roles == {"ADMIN": {Call.INGEST, Call.READ}}
    assert rule.prefix == "x/"
    assert rule.scope.tenant == "acme"
    assert rule.quota is not None
    assert rule.quota.records_per_day == 9
    services = make_services(settings.auth, make_clients(settings), FileDirectory(), token_verifier(settings.auth))
    assert services.tokens is not None
    assert make_services(settings.auth, make_clients(settings), FileDirectory(), None).tokens is None


def test_weak_signatures_are_told_of_once(tmp_path: Path) -> None:
    weak = {"id": "old", "hmac": {"secrets": ["short"], "mode": "body"}}
    strong = {"id": "new", "hmac": {"secrets": ["s" * 32]}}
    settings = settings_of(tmp_path, {"clients": [weak, strong]})
    with capture_logs() as logs:
        check_rest(settings)
        assert logs == []
        make_services(settings.auth, make_clients(settings), FileDirectory(), None)
    assert [(line["event"], line["client"]) for line in logs] == [("weak_signature", "old")] * 2
    assert "short" not in str([line["detail"].replace("shorter", "") for line in logs])


def test_quotas(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {"quotas": {"default": {"requests_per_day": 1}, "address_requests_per_s": 1,
                                                "address_burst_s": 2}})  # fmt: skip
    quotas = make_quotas(settings.auth.quotas)
    assert [quotas.take_address("a").allowed for _ in range(3)] == [True, True, False]
    assert [quotas.take_request("client:a", None, sends=True).allowed for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ({"clients": [{"id": "a", "certificate": "x", "tenant": "\x01"}]}, "id: a"),
        ({"clients": [{"id": "a b", "api_key_sha256": HASH}]}, "id: a b"),
        (
            {"jwt": [{"issuer": "https://i.test", "audience": "a", "jwks_url": "https://i.test/k", "tenant": "\x01"}]},
            "issuer: https://i.test",
        ),
        ({"jwt": [{"issuer": "i", "audience": "a", "jwks_url": "http://10.0.0.1/k"}]}, "issuer: i"),
    ],
)
def test_what_cannot_be_used_is_placed(tmp_path: Path, auth: Json, line: str) -> None:
    given: dict[str, Any] = {"rest": {"listeners": [{"name": "rest", "port": 0}]}, "auth": auth}
    with pytest.raises(ConfigError) as caught:
        check_rest(loaded_from(tmp_path, given).settings)
    assert line_of(tmp_path, given, caught.value) == line
