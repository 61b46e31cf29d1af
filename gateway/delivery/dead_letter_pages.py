"""Dead letters as they lie on the disk: found page by page, marked once a replay is through, and cleaned up.

`letters-*.ndjson` hold what identified senders sent, `unsound-*.ndjson` what only looks like a frame. What a replay
made of a letter stands in a file of marks beside its own (`letters-….done`): one line per letter, the last one counts.
A torn last line of either is passed over. Everything here blocks; errors are OSErrors.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from gateway.delivery.dead_letter_lines import LetterFilter, Line, encode_line, key_of, parse_line
from gateway.delivery.disk import sync_directory

__all__ = [
    "LETTERS",
    "STEMS",
    "UNSOUND",
    "Cursor",
    "DirectoryLock",
    "Found",
    "Page",
    "Rewritten",
    "add_marks",
    "busy",
    "delete",
    "letter_paths",
    "marks_path",
    "read_page",
    "rewrite",
    "stored_bytes",
]

LETTERS = "letters"
UNSOUND = "unsound"
STEMS = (LETTERS, UNSOUND)
_SUFFIX = ".ndjson"
_NEW = ".new"
IN_USE_LOCK = ".in_use.lock"  # shared by running gateways; a command that works on the files alone takes it whole
WORK_LOCK = ".work.lock"  # of the one that replays or purges


class DirectoryLock:
    """A lock on a directory of letters that ends with the process. `with` releases it."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / name
        self._fd: int | None = None

    def take(self, *, exclusive: bool = True) -> bool:
        """False: somebody else has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def letter_paths(directory: Path, stems: tuple[str, ...] = STEMS) -> list[Path]:
    """All files of letters, oldest first."""
    found = [path for stem in stems for path in directory.glob(f"{stem}-*{_SUFFIX}")]
    return sorted(found, key=lambda path: _age_key(path.name))


def marks_path(path: Path) -> Path:
    return path.with_suffix(".done")


def stored_bytes(path: Path) -> int:
    """Bytes of a file of letters and its marks; 0 when it is gone."""
    total = 0
    for file in (path, marks_path(path)):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def busy(path: Path) -> bool:
    """Whether a process still appends to the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def delete(path: Path) -> None:
    """The letters first: marks without letters mean nothing."""
    path.unlink(missing_ok=True)
    marks_path(path).unlink(missing_ok=True)


def clear_leftovers(directory: Path) -> None:
    """Removes what a crash in the middle of `rewrite` or `delete` left."""
    for path in directory.glob(f"*{_NEW}"):
        path.unlink(missing_ok=True)
    for path in directory.glob("*.done"):
        if not path.with_suffix(_SUFFIX).exists():
            path.unlink(missing_ok=True)


# Marks


def add_marks(path: Path, marks: Mapping[str, Line | None]) -> int:
    """Makes marks durable, by the key of the letter: None for one that is done, else what changed in it.

    Returns how many bytes the disk holds more. Nothing happens when the letters are gone.
    """
    if not marks or not path.exists():
        return 0
    lines = [{"key": key, "done": True} if now is None else {"key": key, "now": now} for key, now in marks.items()]
    data = b"".join(encode_line(line) for line in lines)
    target = marks_path(path)
    is_new = not target.exists()
    fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data  # ends the line that a crash tore
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fdatasync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    if is_new:
        sync_directory(target.parent)
    return len(data)


def _read_marks(path: Path) -> dict[str, Line | None]:
    marks: dict[str, Line | None] = {}
    try:
        data = marks_path(path).read_bytes()
    except FileNotFoundError:
        return marks
    for text in data.split(b"\n"):
        try:
            mark = orjson.loads(text)
            if mark.get("done") is True:
                marks[mark["key"]] = None
            elif isinstance(mark["now"], dict):
                marks[mark["key"]] = mark["now"]
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            continue  # torn
    return marks


# Reading


@dataclass(slots=True, frozen=True)
class Cursor:
    """Where a reader goes on: behind `offset` in `file`, up to and with the file `last` ("": all there are)."""

    file: str = ""
    offset: int = 0
    last: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}:{self.last}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """ValueError: no text that `str` of a cursor gave."""
        file, first, rest = text.partition(":")
        offset, second, last = rest.partition(":")
        if not (first and second and offset.isascii() and offset.isdigit() and len(offset) < 16):
            raise ValueError("not a cursor")
        return cls(file, int(offset), last)


@dataclass(slots=True)
class Found:
    """A letter that is not done. line: with what replays changed in it."""

    path: Path
    key: str
    line: Line


@dataclass(slots=True)
class Page:
    """Letters, oldest first. cursor: None when there are no more. passed: files that were read to their end."""

    letters: list[Found] = field(default_factory=list)
    cursor: Cursor | None = None
    passed: list[Path] = field(default_factory=list)


def read_page(directory: Path, wanted: LetterFilter, cursor: Cursor, limit: int, max_bytes: int) -> Page:
    """At most `limit` letters and, from the second on, `max_bytes` of their lines."""
    page = Page()
    size = 0
    for path in letter_paths(directory):
        place = _age_key(path.name)
        if cursor.last and place > _age_key(cursor.last):
            break
        if cursor.file and place < _age_key(cursor.file):
            continue
        start = cursor.offset if path.name == cursor.file else 0
        for begin, data, line, now in _live(path, start):
            if not wanted.matches(line):
                continue
            size += len(data)
            if len(page.letters) >= limit or (page.letters and size > max_bytes):
                page.cursor = Cursor(path.name, begin, cursor.last)
                return page
            page.letters.append(Found(path, key_of(line), _exact(data, now)))
        page.passed.append(path)
    return page


def _live(path: Path, start: int = 0) -> Iterator[tuple[int, bytes, Line, Line | None]]:
    """Offset, line as it stands, letter, and what replays changed, of each letter that is not done."""
    marks = _read_marks(path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        end = start
        for data in file:
            begin, end = end, end + len(data)
            line = parse_line(data) if data.endswith(b"\n") else None
            if line is None:
                continue
            key = key_of(line)
            now = marks.get(key)
            if now is not None:
                yield begin, data, line | now, now
            elif key not in marks:
                yield begin, data, line, None


def _exact(data: bytes, now: Line | None) -> Line:
    """The letter with integers as large as they were: the quick parser makes floats of those beyond 64 bits."""
    line: Line = json.loads(data)
    return line if now is None else line | now


# Cleaning up


@dataclass(slots=True)
class Rewritten:
    """removed: letters that went, by reason. size: of what is left, 0 when the file is gone."""

    removed: dict[str, int]
    size: int


def rewrite(path: Path, remove: Callable[[Line], bool], *, always: bool = True) -> Rewritten:
    """Leaves only the letters that are not done and that `remove` does not name, and puts their marks into them.

    The new file takes the old one's place in one step, with its age. always: also if that frees less than a quarter.
    """
    removed: dict[str, int] = {}
    before = stored_bytes(path)
    kept: list[bytes] = []
    for _, data, line, now in _live(path):
        if remove(line):
            reason = str(line.get("reason"))
            removed[reason] = removed.get(reason, 0) + 1
        else:
            kept.append(data if now is None else encode_line(_exact(data, now)))
    size = sum(map(len, kept))
    if not kept:
        delete(path)
    elif (removed and always) or before - size > before // 4:
        _replace(path, kept)
    else:
        return Rewritten(removed, before)
    sync_directory(path.parent)
    return Rewritten(removed, size)


def _replace(path: Path, lines: list[bytes]) -> None:
    status = path.stat()
    new = path.with_suffix(_NEW)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(fd)
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    marks_path(path).unlink(missing_ok=True)


def _age_key(name: str) -> tuple[str, str]:
    stem, _, rest = name.partition("-")
    return rest, stem
