"""Clients of the configuration and of the key file, and what a reload changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.access.api_keys import hash_api_key, make_api_key
from gateway.access.clients import Client, Clients, KeyChanges
from gateway.access.key_file import IssuedKey, KeyFile, KeyFileError, revoke_key
from gateway.access.key_uses import KeyUses
from gateway.access.scopes import Scope
from gateway.domain.errors import ConfigError

NOW = 1_767_225_600.0


class Rig:
    """One key file, as the command line writes it, and the clients of a gateway that reads it."""

    def __init__(self, path: Path, *configured: Client) -> None:
        self.now = NOW
        self.file = KeyFile(path)
        self.clients = Clients(configured, KeyFile(path), lambda: self.now)

    def issue(self, client_id: str, **more: float) -> str:
        key = make_api_key(client_id)
        with self.file.edited() as keys:
            keys.append(
                IssuedKey(client_id, hash_api_key(key), Scope.of(["read"]), NOW, "local:alice", **more)  # type: ignore[arg-type]
            )
        return key

    def revoke(self, client_id: str) -> None:
        with self.file.edited() as keys:
            revoke_key(keys, client_id, NOW, "local:bob")

    def uses(self) -> dict[str, float]:
        """As `iotlink keys ls` sees them."""
        used = KeyUses(self.file.path, lambda: self.now).read()
        return {key.id: used[key.digest] for key in self.file.read() if key.digest in used}

    def who(self, key: str) -> str:
        found = self.clients.by_key(key)
        return found.id if isinstance(found, Client) else f"!{found}"


def configured(client_id: str, **more: object) -> tuple[Client, str]:
    key = make_api_key(client_id)
    return Client(client_id, key_hashes=(hash_api_key(key),), **more), key  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_keys_of_the_configuration(path: Path) -> None:
    erp, key = configured("erp")
    rig = Rig(path, erp, Client("ha"))
    assert rig.clients.by_key(key) is erp
    assert rig.who(make_api_key("erp")) == "!key_wrong"
    assert rig.who(make_api_key("nobody")) == "!key_unknown"
    assert rig.who(make_api_key("ha")) == "!key_unknown"  # signs, and has no key
    assert rig.who("iotlink_erp_short") == "!key_malformed"
    assert rig.who("iotlink_erp_" + "\udcff" * 43) == "!key_malformed"
    assert "key_hashes" not in repr(erp)


def test_two_keys_while_they_change(path: Path) -> None:
    keys = [make_api_key("erp") for _ in range(2)]
    rig = Rig(path, Client("erp", key_hashes=tuple(map(hash_api_key, keys))))
    assert [rig.who(key) for key in keys] == ["erp", "erp"]


def test_other_ways_to_find_a_client(path: Path) -> None:
    erp, ha = Client("erp", certificate="erp.example"), Client("ha")
    clients = Rig(path, erp, ha).clients
    assert clients.by_certificate("erp.example") is erp
    assert clients.by_certificate("ha") is None
    assert clients.by_certificate("") is None
    assert clients.by_id("ha") is ha
    assert clients.by_id("x") is None


def test_keys_of_the_file_come_and_go(path: Path) -> None:
    rig = Rig(path)
    first = rig.issue("a")
    assert rig.who(first) == "!key_unknown"  # not read yet
    assert rig.clients.reload() == KeyChanges()
    assert rig.who(first) == "a"
    assert rig.clients.reload() == KeyChanges()
    second = rig.issue("b")
    assert rig.clients.reload() == KeyChanges(created=("b",))
    assert rig.who(second) == "b"
    rig.revoke("a")
    assert rig.clients.reload() == KeyChanges(revoked=("a",))
    assert [rig.who(key) for key in (first, second)] == ["!key_revoked", "b"]
    again = rig.issue("a")
    assert rig.clients.reload() == KeyChanges(created=("a",))
    assert [rig.who(key) for key in (first, again)] == ["!key_revoked", "a"]
    rig.file.path.unlink()
    assert rig.clients.reload() == KeyChanges(removed=("a", "b", "a"))
    assert [rig.who(key) for key in (first, second, again)] == ["!key_unknown"] * 3


def test_without_a_key_file(path: Path) -> None:
    assert Clients([], None, lambda: NOW).reload() == KeyChanges()


def test_a_file_that_cannot_be_used_changes_nothing(path: Path) -> None:
    rig = Rig(path)
    key = rig.issue("a")
    rig.clients.reload()
    good = path.read_bytes()
    path.write_bytes(good[:-20])
    for _ in range(2):
        with pytest.raises(KeyFileError, match="not JSON"):
            rig.clients.reload()
        assert rig.who(key) == "a"
    path.write_bytes(good)
    assert rig.clients.reload() == KeyChanges()


def test_the_configuration_goes_before_the_file(path: Path) -> None:
    erp, key = configured("erp")
    rig = Rig(path, erp)
    issued = rig.issue("erp")
    assert rig.clients.reload() == KeyChanges(ignored=("erp",))
    assert [rig.who(one) for one in (key, issued)] == ["erp", "!key_wrong"]


def test_a_key_that_the_file_revokes_counts_nowhere(path: Path) -> None:
    """`keys create` printed it for the configuration too, and somebody pasted it."""
    key = Rig(path).issue("erp")
    rig = Rig(path, Client("erp", key_hashes=(hash_api_key(key),)))
    rig.clients.reload()
    assert rig.who(key) == "erp"
    rig.revoke("erp")
    rig.clients.reload()
    assert rig.who(key) == "!key_revoked"
    assert rig.who(make_api_key("erp")) == "!key_wrong"


def test_expiry(path: Path) -> None:
    erp, _ = configured("erp", expires_unix_s=NOW + 10)
    rig = Rig(path, erp)
    key = rig.issue("a", expires_unix_s=NOW + 10)
    rig.clients.reload()
    issued = rig.clients.by_key(key)
    assert isinstance(issued, Client)
    assert not rig.clients.has_expired(issued)
    rig.now = NOW + 10
    assert rig.clients.has_expired(issued)
    assert rig.clients.has_expired(erp)
    assert not rig.clients.has_expired(Client("never"))


def test_a_reload_writes_down_when_keys_of_the_file_were_used(path: Path) -> None:
    erp, _ = configured("erp")
    rig = Rig(path, erp)
    key = rig.issue("a")
    rig.clients.reload()
    assert rig.uses() == {}
    client = rig.clients.by_key(key)
    assert isinstance(client, Client)
    rig.clients.used(client)
    rig.clients.used(erp)  # of the configuration, which `iotlink keys` does not list
    rig.clients.reload()
    assert rig.uses() == {"a": NOW}
    rig.now += 61
    rig.clients.used(client)
    rig.revoke("a")
    rig.clients.reload()
    assert rig.uses() == {"a": NOW + 61}


def test_the_end_writes_down_what_a_minute_would_have(path: Path) -> None:
    rig = Rig(path)
    key = rig.issue("a")
    rig.clients.reload()
    client = rig.clients.by_key(key)
    assert isinstance(client, Client)
    for _ in range(2):
        rig.now += 1
        rig.clients.used(client)
        rig.clients.reload()
    assert rig.uses() == {"a": NOW + 1}
    rig.clients.close()
    assert rig.uses() == {"a": NOW + 2}
    rig.clients.close()
    Clients([], None, lambda: NOW).close()


def test_uses_that_cannot_be_written_harm_nothing(path: Path) -> None:
    rig = Rig(path)
    key = rig.issue("a")
    rig.clients.reload()
    path.with_name("keys.used.json").mkdir()
    with capture_logs() as lines:
        for _ in range(3):
            client = rig.clients.by_key(key)
            assert isinstance(client, Client)
            rig.clients.used(client)
            assert rig.clients.reload() == KeyChanges()
            rig.now += 61
    assert [line["event"] for line in lines] == ["key_uses_not_written"]
    assert "keys.used.json" in lines[0]["detail"]
    path.with_name("keys.used.json").rmdir()
    rig.clients.reload()
    assert rig.uses() == {"a": NOW + 122}


def test_changes_of_the_file_are_audited(path: Path) -> None:
    rig = Rig(path)
    rig.issue("a")
    with capture_logs() as lines:
        rig.clients.reload()
    assert lines == []  # at a start nothing has changed
    rig.issue("b")
    rig.revoke("a")
    with capture_logs() as lines:
        rig.clients.reload()
    assert [(line["who"], line["action"], line["resource"]) for line in lines] == [
        ("local:alice", "keys.create", "key:b"),
        ("local:bob", "keys.revoke", "key:a"),
    ]
    assert lines[0]["after"]["scopes"] == ["read"]
    assert lines[1]["before"] == {}
    assert set(lines[1]["after"]) == {"revoked_at", "revoked_by"}
    path.unlink()
    with capture_logs() as lines:
        rig.clients.reload()
    assert [(line["who"], line["action"]) for line in lines] == [("key_file", "keys.remove")] * 2


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([Client("a"), Client("a")], "auth.clients.1: there is a client `a` already"),
        ([Client("a b", key_hashes=(b"x" * 32,))], "auth.clients.0: `a b` cannot be the id"),
        ([Client("a", certificate="n"), Client("b", certificate="n")], "auth.clients.1: another client has the cert"),
    ],
)
def test_clients_that_cannot_be_told_apart(entries: list[Client], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        Clients(entries, None, lambda: NOW)
    assert error.value.setting == said.partition(":")[0]


def test_a_client_without_a_key_may_have_any_id() -> None:
    found = Clients([Client("홈 어시스턴트")], None, lambda: NOW).by_id("홈 어시스턴트")
    assert found is not None
