"""`iotlink keys`: the key once, its YAML, the file, exit codes."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import orjson
import pytest
import yaml
from typer.testing import CliRunner, Result

from gateway.access.api_keys import hash_api_key
from gateway.access.clients import Client, Clients
from gateway.access.key_file import KeyFile
from gateway.access.key_uses import KeyUses
from gateway.cli.main import app

RUN = CliRunner()
FILE = Path("data/keys.json")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def keys(*arguments: str) -> Result:
    return RUN.invoke(app, ["keys", *arguments])


def made(*arguments: str) -> dict[str, str]:
    result = keys("create", *arguments, "--output", "json")
    assert result.exit_code == 0, result.stderr
    answer: dict[str, str] = orjson.loads(result.stdout)
    return answer


def listed() -> list[dict[str, object]]:
    result = keys("ls", "--output", "json")
    assert result.exit_code == 0, result.stderr
    rows: list[dict[str, object]] = orjson.loads(result.stdout)
    return rows


def test_a_key_works_and_is_nowhere() -> None:
    answer = made("erp", "--scope", "ingest", "--scope", "read", "--product", "prod-a", "--device", "truck-*")
    assert re.fullmatch(r"iotlink_erp_[A-Za-z0-9_-]{43}", answer["key"])
    assert answer["sha256"] == hash_api_key(answer["key"]).hex()
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert answer["key"] not in FILE.read_text()
    clients = Clients([], KeyFile(FILE), lambda: 0.0)
    clients.reload()
    client = clients.by_key(answer["key"])
    assert isinstance(client, Client)
    assert client.scope.as_words() == {"scopes": ["ingest", "read"], "products": ["prod-a"], "devices": ["truck-*"]}


def test_yaml_to_paste() -> None:
    answer = made("erp", "--scope", "read", "--device", "*", "--tenant", "acme", "--expires", "2999-01-01")
    assert yaml.safe_load(answer["yaml"]) == {
        "auth": {
            "clients": [
                {
                    "id": "erp",
                    "api_key_sha256": answer["sha256"],
                    "scopes": ["read"],
                    "devices": ["*"],
                    "tenant": "acme",
                    "expires": "2999-01-01T00:00:00.000Z",
                }
            ]
        }
    }


@pytest.mark.parametrize("output", [(), ("--output", "table")])
def test_for_people_and_for_shells(output: tuple[str, ...]) -> None:
    result = keys("create", "erp", *output)
    assert re.fullmatch(r"iotlink_erp_[A-Za-z0-9_-]{43}\n", result.stdout)
    assert result.stderr == "The key is shown this once; its SHA-256 is in data/keys.json.\n"
    table = keys("ls", "--output", "table").stdout.splitlines()
    assert table[0].split()[:3] == ["id", "state", "scopes"]
    assert table[1].split()[:3] == ["erp", "active", "ingest"]
    assert keys("revoke", "erp", "--output", "table").stdout == "the key of `erp` is revoked\n"


def test_when_it_was_used_last() -> None:
    digest = bytes.fromhex(made("erp")["sha256"])
    made("other")
    uses = KeyUses(FILE, lambda: 1_767_225_600.0)
    uses.note(digest)
    uses.write_down([digest])
    assert [row.get("last_used_at") for row in listed()] == ["2026-01-01T00:00:00.000Z", None]
    head, first, second = keys("ls", "--output", "table").stdout.splitlines()
    assert head.split()[-1] == "last_used_at"
    assert first.split()[-1] == "2026-01-01T00:00:00.000Z"
    assert second.split()[-1].startswith("local:")
    uses.path.write_text("?")
    result = keys("ls", "--output", "json")
    assert "keys.used.json: does not say when keys were used" in result.stderr
    assert [row["id"] for row in orjson.loads(result.stdout)] == ["erp", "other"]


def test_print_only_keeps_nothing() -> None:
    assert made("erp", "--print-only")["key"]
    result = keys("create", "erp", "--print-only")
    key, empty, *text = result.stdout.splitlines()
    assert re.fullmatch(r"iotlink_erp_[A-Za-z0-9_-]{43}", key)
    assert (empty, text[:3]) == ("", ["auth:", "  clients:", '    - id: "erp"'])
    assert "it is kept nowhere" in result.stderr
    assert not FILE.exists()
    assert listed() == []


def test_revoking_and_making_anew() -> None:
    made("erp")
    taken = keys("create", "erp")
    assert (taken.exit_code, taken.stdout) == (2, "")
    assert "`erp` has a key already: revoke it first" in taken.stderr
    revoked = keys("revoke", "erp")
    assert orjson.loads(revoked.stdout)["state"] == "revoked"
    again = keys("revoke", "erp", "--output", "json")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "no key of `erp`" in again.stderr
    made("erp")
    assert [(row["id"], row["state"]) for row in listed()] == [("erp", "revoked"), ("erp", "active")]


def test_who_did_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made("a")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    made("b")
    first, second = listed()
    assert str(first["created_by"]).startswith("local:")
    assert second["created_by"] == "local:uid-4000000000"


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("48h", 2)])
def test_spans(text: str, days: int) -> None:
    made("erp", "--expires", text)
    (key,) = KeyFile(FILE).read()
    assert key.expires_unix_s is not None
    assert key.expires_unix_s - key.created_unix_s == pytest.approx(days * 86_400, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a b"], "1 to 128 letters"),
        (["erp", "--scope", "write"], "--scope"),
        (["erp", "--device", "a*b"], "at the end of a device pattern"),
        (["erp", "--expires", "soon"], "--expires soon: 90d, 12h"),
        (["erp", "--expires", "2001-01-01"], "this is over already"),
        (["erp", "--expires", "0d"], "--expires 0d"),
        (["erp", "--config", "none.yaml"], "none.yaml"),
    ],
)
def test_what_is_asked_for_wrongly(arguments: list[str], said: str) -> None:
    result = keys("create", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert not FILE.exists()


def test_a_client_of_the_configuration() -> None:
    hashed = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$" + "A" * 43
    Path("iotlink.yaml").write_text(f"auth: {{devices: open, clients: [{{id: erp, password: '{hashed}'}}]}}\n")
    result = keys("create", "erp", "--config", "iotlink.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is a client in `auth.clients` already" in result.stderr
    assert keys("create", "erp2", "--config", "iotlink.yaml").exit_code == 0


def test_another_file() -> None:
    keys("create", "erp", "--key-file", "elsewhere/k.json")
    assert Path("elsewhere/k.json").exists()
    assert orjson.loads(keys("ls", "--key-file", "elsewhere/k.json").stdout)["id"] == "erp"
    assert not FILE.exists()


@pytest.mark.parametrize("command", [["create", "erp"], ["ls"], ["revoke", "erp"]])
def test_a_file_that_cannot_be_used(command: list[str]) -> None:
    FILE.parent.mkdir()
    FILE.write_text("{")
    FILE.chmod(0o600)
    result = keys(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "data/keys.json:1:" in result.stderr
    assert FILE.read_text() == "{"
