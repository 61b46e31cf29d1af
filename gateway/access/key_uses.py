"""When API keys of the key file were used last, as JSON beside it, for `iotlink keys ls`.

Place in the walk: `Clients` notes each use in memory, and writes what is new down whenever it looks after the key file,
at most once a minute: a crash loses the last minute, never the file. Gateways that share a key file share this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from gateway.access.key_file import KeyFileError
from gateway.access.private_files import alone_with, replace_whole
from gateway.observe.logs import rfc3339

__all__ = ["KeyUses"]

WRITE_EVERY_S = 60.0
MAX_BYTES = 4 << 20

_FORMAT = "iotlink.key_uses/1"


class KeyUses:
    """Of the key file at `key_file`. unix_s: wall time. Keys are named by their SHA-256."""

    __slots__ = ("_noted", "_unix_s", "_written", "_written_at", "path")

    def __init__(self, key_file: Path, unix_s: Callable[[], float]) -> None:
        self.path = key_file.with_name(f"{key_file.stem}.used.json")
        self._unix_s = unix_s
        self._noted: dict[bytes, float] = {}
        self._written: Mapping[bytes, float] = {}
        self._written_at: float | None = None

    def note(self, digest: bytes) -> None:
        """The key of that SHA-256 has just been used. Cheap; another thread may be in `write_down`."""
        self._noted[digest] = self._unix_s()

    def read(self) -> dict[bytes, float]:
        """Unix seconds of the last use, of each key that was used; none where nothing was written down. KeyFileError:
        the file cannot be read, or is none of ours."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._error(error) from None
        try:
            if len(data) > MAX_BYTES:
                raise ValueError
            return _parsed(orjson.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise KeyFileError(f"{self.path}: does not say when keys were used; it may be removed") from None

    def write_down(self, known: Collection[bytes], *, at_once: bool = False) -> None:
        """Blocks, and does nothing where nothing is new, or a minute has not passed and it is not wanted `at_once`.
        known: the keys of the key file; others are forgotten. KeyFileError: it cannot be written. A file that cannot be
        read is made anew."""
        now = self._unix_s()
        if not at_once and self._written_at is not None and 0 <= now - self._written_at < WRITE_EVERY_S:
            return
        noted = dict(self._noted)
        for digest in noted.keys() - known:
            del noted[digest]
            self._noted.pop(digest, None)
        if noted == self._written:
            return
        self._written_at = now  # also where it fails: it is tried again in a minute
        try:
            with alone_with(self.path):
                try:
                    before = self.read()
                except KeyFileError:
                    before = {}
                replace_whole(self.path, _document(before, noted, known))
        except OSError as error:
            raise self._error(error) from None
        self._written = noted

    def _error(self, error: OSError) -> KeyFileError:
        return KeyFileError(f"{error.filename or self.path}: {error.strerror or os.strerror(error.errno or 0)}")


def _document(before: Mapping[bytes, float], noted: Mapping[bytes, float], known: Collection[bytes]) -> bytes:
    """The latest of both, of the keys that are there."""
    used = {
        digest.hex(): rfc3339(max(before.get(digest, 0.0), noted.get(digest, 0.0)))
        for digest in known
        if digest in before or digest in noted
    }
    document = {"format": _FORMAT, "used": used}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _parsed(document: Any) -> dict[bytes, float]:
    """ValueError, TypeError, KeyError, AttributeError: it is another document."""
    if document["format"] != _FORMAT:
        raise ValueError
    return {bytes.fromhex(digest): datetime.fromisoformat(at).timestamp() for digest, at in document["used"].items()}
