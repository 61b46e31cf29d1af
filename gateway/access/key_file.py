"""The key file: API keys that `iotlink keys` issued and revoked, as JSON beside the gateway's data.

Place in the walk: none. The command line changes it (under a lock, by replacing it whole), a running gateway reads it
again when it has changed. It holds hashes of keys, never keys.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.access.api_keys import CLIENT_ID, digest_of_hex
from gateway.access.private_files import alone_with, replace_whole
from gateway.access.scopes import Scope
from gateway.domain.errors import OperatorError
from gateway.observe.logs import rfc3339

__all__ = ["KEY_FILE_NAME", "IssuedKey", "KeyFile", "KeyFileError", "revoke_key"]

KEY_FILE_NAME = "keys.json"
"""Its name in `data_dir`."""

MAX_KEYS = 10_000
MAX_BYTES = 8 << 20

_FORMAT = "iotlink.keys/1"


class KeyFileError(OperatorError):
    """The key file cannot be read, used or written; the text names it and says why."""

    code = "key_file"


@dataclass(slots=True, frozen=True)
class IssuedKey:
    """One key. digest: SHA-256 of the key. revoked_unix_s: since when it counts no more; None: it is not revoked.
    created_by, revoked_by: who did it (`local:alice`)."""

    id: str
    digest: bytes = field(repr=False)
    scope: Scope
    created_unix_s: float
    created_by: str = ""
    expires_unix_s: float | None = None
    revoked_unix_s: float | None = None
    revoked_by: str = ""

    def state(self, unix_s: float) -> Literal["active", "expired", "revoked"]:
        if self.revoked_unix_s is not None:
            return "revoked"
        return "expired" if self.expires_unix_s is not None and unix_s >= self.expires_unix_s else "active"

    def as_words(self) -> dict[str, object]:
        """What may be shown of it: no hash, no times that are not there."""
        words: dict[str, object] = {"id": self.id, **self.scope.as_words()}
        for name, moment in (
            ("created_at", self.created_unix_s),
            ("expires_at", self.expires_unix_s),
            ("revoked_at", self.revoked_unix_s),
        ):
            if moment is not None:
                words[name] = rfc3339(moment)
        words |= {name: text for name in ("created_by", "revoked_by") if (text := getattr(self, name))}
        return words


class KeyFile:
    """The file at `path`, which need not exist yet. All calls block, and raise KeyFileError."""

    __slots__ = ("_seen", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] | None = None  # what `read` saw; () for no file

    def has_changed(self) -> bool:
        """Whether it is another file than the one that was read last, or was not read yet."""
        try:
            return _mark(os.stat(self.path)) != self._seen
        except FileNotFoundError:
            return self._seen != ()
        except OSError as error:
            raise self._error(error) from None

    def read(self) -> tuple[IssuedKey, ...]:
        """All keys, in the order in which they were made; none if there is no file."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            self._seen = ()
            return ()
        except OSError as error:
            raise self._error(error) from None
        if status.st_mode & stat.S_IWOTH:
            raise KeyFileError(f"{self.path}: everybody may write to it, and so make keys: `chmod 600` it")
        if len(data) > MAX_BYTES:
            raise KeyFileError(f"{self.path}: larger than {MAX_BYTES} bytes")
        keys = self._parsed(data)
        self._seen = _mark(status)
        return keys

    @contextlib.contextmanager
    def edited(self) -> Iterator[list[IssuedKey]]:
        """Gives the keys to change in place, alone; writes them when the block ends without an error."""
        try:
            with alone_with(self.path):
                keys = list(self.read())
                yield keys
                self._write(keys)
        except OSError as error:
            raise self._error(error) from None

    def _write(self, keys: Sequence[IssuedKey]) -> None:
        if len(keys) > MAX_KEYS:
            raise KeyFileError(f"{self.path}: holds {MAX_KEYS} keys already, which is all it may")
        document = {"format": _FORMAT, "keys": [_row(key) for key in keys]}
        replace_whole(self.path, orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def _parsed(self, data: bytes) -> tuple[IssuedKey, ...]:
        try:
            rows = _File.model_validate(orjson.loads(data)).keys
            keys = tuple(_key(row) for row in rows)
        except orjson.JSONDecodeError as error:
            raise KeyFileError(f"{self.path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise KeyFileError(f"{self.path}: {place}: {first['msg']}") from None
        except ValueError as error:
            raise KeyFileError(f"{self.path}: {error}") from None
        problem = _twice(keys)
        if problem:
            raise KeyFileError(f"{self.path}: {problem}")
        return keys

    def _error(self, error: OSError) -> KeyFileError:
        return KeyFileError(f"{error.filename or self.path}: {error.strerror or error}")


def revoke_key(keys: list[IssuedKey], client_id: str, unix_s: float, who: str) -> IssuedKey | None:
    """Marks the key of this id that is not revoked yet; None: there is none."""
    for index, key in enumerate(keys):
        if key.id == client_id and key.revoked_unix_s is None:
            keys[index] = replace(key, revoked_unix_s=unix_s, revoked_by=who)
            return keys[index]
    return None


class _Row(BaseModel):
    """A key as it stands in the file."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=rf"^(?:{CLIENT_ID.pattern})$", max_length=128)]
    sha256: str
    scopes: list[str]
    products: list[str] | None = None
    devices: list[str] | None = None
    tenant: str = ""
    created_at: str
    created_by: str = ""
    expires_at: str | None = None
    revoked_at: str | None = None
    revoked_by: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    format: Literal["iotlink.keys/1"]
    keys: Annotated[list[_Row], Field(max_length=MAX_KEYS)]


def _row(key: IssuedKey) -> dict[str, object]:
    words = key.as_words()
    return {"id": words.pop("id"), "sha256": key.digest.hex(), **words}


def _key(row: _Row) -> IssuedKey:
    created = _moment(row.created_at)
    assert created is not None
    return IssuedKey(
        row.id,
        digest_of_hex(row.sha256),
        Scope.of(row.scopes, row.products, row.devices, row.tenant),
        created,
        row.created_by,
        _moment(row.expires_at),
        _moment(row.revoked_at),
        row.revoked_by,
    )


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _mark(status: os.stat_result) -> tuple[int, ...]:
    """What is different of a file that was replaced or changed."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _twice(keys: Iterable[IssuedKey]) -> str:
    """A client has one key that is not revoked, and no key stands there twice."""
    digests: set[bytes] = set()
    ids: set[str] = set()
    for key in keys:
        if key.digest in digests:
            return f"the same key of `{key.id}` stands there twice"
        digests.add(key.digest)
        if key.revoked_unix_s is None:
            if key.id in ids:
                return f"`{key.id}` has several keys that are not revoked"
            ids.add(key.id)
    return ""
