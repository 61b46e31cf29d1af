"""Clients of the REST and admin APIs: who they are by configuration and by key file, and which of them calls.

Place in the walk: REST access looks clients up here by API key, by the id that a signature names, or by the name in a
certificate. The key file may change while the gateway runs: `reload` takes what it says now, and writes down beside it
when its keys were used last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from gateway.access.api_keys import CLIENT_ID, client_id_of, hash_api_key, is_one_of
from gateway.access.key_file import IssuedKey, KeyFile, KeyFileError
from gateway.access.key_uses import KeyUses
from gateway.access.quotas import QuotaLimits
from gateway.access.request_signatures import SigningSecrets
from gateway.access.rest_denials import DenyReason
from gateway.access.scopes import Scope
from gateway.domain.errors import ConfigError
from gateway.observe.audit import audit

__all__ = ["Client", "Clients", "KeyChanges"]

_log = structlog.get_logger(__name__)


@dataclass(slots=True, frozen=True)
class Client:
    """One entry of `auth.clients`, or of the key file. key_hashes: SHA-256 of its API keys, 32 bytes each; several
    while it changes from one to the next. certificate: the name in a client certificate that proves it, "" for none.
    expires_unix_s: when nothing of it counts any more; None: never. quota: None is that of all."""

    id: str
    scope: Scope = field(default_factory=Scope)
    key_hashes: tuple[bytes, ...] = field(default=(), repr=False)
    signing: SigningSecrets | None = None
    certificate: str = ""
    expires_unix_s: float | None = None
    quota: QuotaLimits | None = None


@dataclass(slots=True, frozen=True)
class KeyChanges:
    """What a reload found, as ids of clients; the first reading is no change. ignored: ids of the key file that the
    configuration has too; the configured ones count."""

    created: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class _Known:
    """All there is to look up, swapped as one. revoked: hashes of the key file that count nowhere any more."""

    by_id: Mapping[str, Client]
    revoked: frozenset[bytes] = frozenset()
    issued: tuple[IssuedKey, ...] | None = None  # None: not read yet


class Clients:
    """configured: entry by entry of `auth.clients`. unix_s: wall time. Raises ConfigError for entries that cannot be
    told apart or used. The key file is read by `reload` only, also the first time.
    """

    __slots__ = ("_by_certificate", "_configured", "_key_file", "_known", "_unix_s", "_uses", "_uses_fail")

    def __init__(self, configured: Sequence[Client], key_file: KeyFile | None, unix_s: Callable[[], float]) -> None:
        self._key_file = key_file
        self._unix_s = unix_s
        self._configured: dict[str, Client] = {}
        self._by_certificate: dict[str, str] = {}
        for index, client in enumerate(configured):
            problem = self._problem(client)
            if problem:
                raise ConfigError(f"auth.clients.{index}: {problem}", setting=f"auth.clients.{index}")
            self._configured[client.id] = client
            if client.certificate:
                self._by_certificate[client.certificate] = client.id
        self._known = _Known(self._configured)
        self._uses = KeyUses(key_file.path, unix_s) if key_file is not None else None
        self._uses_fail = False

    def _problem(self, client: Client) -> str:
        if client.id in self._configured:
            return f"there is a client `{client.id}` already"
        if client.key_hashes and not CLIENT_ID.fullmatch(client.id):
            return f"`{client.id}` cannot be the id of a client with an API key: letters, digits and . _ - are expected"
        if client.certificate in self._by_certificate:
            return f"another client has the certificate name `{client.certificate}`"
        return ""

    def reload(self) -> KeyChanges:
        """Reads the key file anew if it has changed, and writes an audit line per key that came or went. Then writes
        down which keys were used (`KeyUses`); that this fails is a line in the log and nothing more.

        Blocking; may be called in a thread, but never twice at a time. KeyFileError: it cannot be used, and what was
        known before counts further. A file that is gone holds no keys.
        """
        if self._key_file is None:
            return KeyChanges()
        changes = self._changes(self._key_file) if self._key_file.has_changed() else KeyChanges()
        self._write_uses(at_once=False)
        return changes

    def close(self) -> None:
        """Writes down at the end which keys were used. Blocking; as `reload`, never while that runs."""
        self._write_uses(at_once=True)

    def _changes(self, key_file: KeyFile) -> KeyChanges:
        issued = key_file.read()
        by_id = dict(self._configured)
        ignored = []
        for key in issued:
            if key.revoked_unix_s is not None:
                continue
            if key.id in self._configured:
                ignored.append(key.id)
            else:
                by_id[key.id] = Client(key.id, key.scope, (key.digest,), expires_unix_s=key.expires_unix_s)
        revoked = frozenset(key.digest for key in issued if key.revoked_unix_s is not None)
        before, self._known = self._known, _Known(by_id, revoked, issued)
        changes = _audited(before.issued, issued) if before.issued is not None else KeyChanges()
        return replace(changes, ignored=tuple(ignored))

    def _write_uses(self, *, at_once: bool) -> None:
        if self._uses is None:
            return
        try:
            self._uses.write_down({key.digest for key in self._known.issued or ()}, at_once=at_once)
        except KeyFileError as error:
            if not self._uses_fail:
                _log.warning("key_uses_not_written", detail=str(error))
            self._uses_fail = True
        else:
            self._uses_fail = False

    def by_key(self, key: str) -> Client | DenyReason:
        """The client whose API key this is."""
        client_id = client_id_of(key)
        if not client_id:
            return DenyReason.KEY_MALFORMED
        known = self._known
        client = known.by_id.get(client_id)
        digest = hash_api_key(key)
        right = is_one_of(digest, client.key_hashes if client is not None else ())
        if digest in known.revoked:
            return DenyReason.KEY_REVOKED
        if client is None or not client.key_hashes:
            return DenyReason.KEY_UNKNOWN
        return client if right else DenyReason.KEY_WRONG

    def by_id(self, client_id: str) -> Client | None:
        """The client of that id, for a proof that is still to come."""
        return self._known.by_id.get(client_id)

    def by_certificate(self, name: str) -> Client | None:
        """The client that this name in a certificate proves; None: it is no client's."""
        client_id = self._by_certificate.get(name)
        return self._configured[client_id] if client_id is not None else None

    def has_expired(self, client: Client) -> bool:
        """To be asked once the client has proven who it is: nobody else learns of it."""
        return client.expires_unix_s is not None and self._unix_s() >= client.expires_unix_s

    def used(self, client: Client) -> None:
        """The client has just proven who it is. Noted of those that the key file holds: they have one key, no more."""
        if self._uses is not None and client.id not in self._configured:
            self._uses.note(client.key_hashes[0])


def _audited(before: Sequence[IssuedKey], after: Sequence[IssuedKey]) -> KeyChanges:
    """What is different, one audit line each."""
    old = {key.digest: key for key in before}
    new = {key.digest: key for key in after}
    created = [key for key in after if key.digest not in old and key.revoked_unix_s is None]
    revoked = [
        key
        for key in after
        if key.revoked_unix_s is not None and key.digest in old and old[key.digest].revoked_unix_s is None
    ]
    removed = [key for key in before if key.digest not in new]
    for key in created:
        audit(key.created_by, "keys.create", f"key:{key.id}", before=None, after=key.as_words())
    for key in revoked:
        audit(key.revoked_by, "keys.revoke", f"key:{key.id}", before=old[key.digest].as_words(), after=key.as_words())
    for key in removed:
        audit("key_file", "keys.remove", f"key:{key.id}", before=key.as_words(), after=None)
    return KeyChanges(*(tuple(key.id for key in keys) for keys in (created, revoked, removed)))
