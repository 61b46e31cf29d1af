"""What `iotlink ingest` remembers of a file, so that it can go on after an interruption.

Place in the walk: written after each chunk that was acknowledged, in the user's cache; gone when the file is through.
The chunk that was under way is sent again under its key, so that nothing of it comes twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

__all__ = ["IngestState", "StateFile", "StateMismatch", "head_digest"]

_FORMAT = 1


class StateMismatch(Exception):
    """What is remembered belongs to another file or to other options."""


@dataclass(slots=True)
class IngestState:
    """run: part of the keys, made anew with each file that begins. options: what chunks and their place depend on.

    head: digest of the file's beginning, size: its bytes. chunks: that were acknowledged, last_line: up to which;
    accepted, rejected: records in them.
    """

    run: str
    options: dict[str, Any]
    head: str
    size: int
    chunks: int = 0
    last_line: int = 0
    accepted: int = 0
    rejected: int = 0

    def key(self, chunk: int) -> str:
        """The Idempotency-Key of a chunk."""
        return f"ingest-{self.run}-{chunk}"

    def check(self, begun: IngestState) -> None:
        """Raises StateMismatch unless `begun` is the same file with the same options."""
        if (self.head, self.size) != (begun.head, begun.size):
            raise StateMismatch("the file has changed since")
        differing = [name for name, value in self.options.items() if begun.options.get(name) != value]
        if differing:
            raise StateMismatch(f"it began with another {', '.join(differing)}")


class StateFile:
    """The memory of one file and place. folder: may be missing, and may be one that cannot be written."""

    def __init__(self, folder: Path, file: Path, url: str) -> None:
        name = hashlib.sha256(f"{file.resolve()}\0{url}".encode()).hexdigest()[:32]
        self._path = folder / "ingest" / f"{name}.json"

    def read(self) -> IngestState | None:
        """None: there is none, or none that this version can read."""
        try:
            data = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
            return None
        if data.keys() != {field.name for field in fields(IngestState)}:
            return None
        return IngestState(**data)

    def write(self, state: IngestState) -> None:
        """Replaces it at once. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps({"format": _FORMAT, **asdict(state)}))
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def head_digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
