"""The files of dead letters as the running gateway writes them: bounded in bytes and age.

Place in the walk: the store calls this from its disk thread. What identified senders sent and what only looks like a
frame (`unsound`: anybody can send that) are in files of their own: the latter have a small share of the space, and
give way first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.delivery.dead_letter_lines import Line
from gateway.delivery.dead_letter_pages import (
    IN_USE_LOCK,
    LETTERS,
    UNSOUND,
    DirectoryLock,
    Rewritten,
    add_marks,
    busy,
    clear_leftovers,
    delete,
    letter_paths,
    rewrite,
    stored_bytes,
)
from gateway.delivery.disk import AppendFile, check_writable, new_file, start_stamp

_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_FILE_AGE_S = 86_400.0  # so that letters can expire by the day
_UNSOUND_SHARE = 0.1


class _Shelf:
    """The files of one stem. stored: their bytes, with those of their marks."""

    def __init__(self, stem: str, max_file_bytes: int) -> None:
        self.stem = stem
        self.max_file_bytes = max_file_bytes  # the unit in which the oldest are dropped
        self.closed: dict[Path, int] = {}  # oldest first, with size
        self.current: AppendFile | None = None
        self.current_since = 0.0
        self.number = 0
        self.stored = 0

    def finish_current(self) -> None:
        if self.current is None:
            return
        self.current.close()
        if self.current.size:
            self.closed[self.current.path] = self.current.size
        self.current = None

    def resized(self, path: Path, size: int) -> None:
        """A closed file has this size now; 0: it is gone."""
        before = self.closed.get(path)
        if before is None:
            return
        self.stored += size - before
        if size:
            self.closed[path] = size
        else:
            del self.closed[path]

    def delete_oldest(self, *, count: bool) -> int:
        """Returns how many letters went with it, if asked to count. Somebody else may have deleted the file."""
        path = next(iter(self.closed))
        letters = 0
        if count:
            with contextlib.suppress(FileNotFoundError):
                letters = path.read_bytes().count(b"\n")
        delete(path)
        self.resized(path, 0)
        return letters


class LetterFiles:
    """One gateway's way into a directory of letters. For the disk thread only; errors are OSErrors.

    drops_oldest: at the byte cap old letters of identified senders give way too, else the new one is refused (ENOSPC).
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        drops_oldest: bool,
        wall_clock: Callable[[], float],
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._drops_oldest = drops_oldest
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._started = wall_clock() - steady_clock()
        self._stamp = start_stamp(wall_clock())
        self._unsound_max = int(max_bytes * _UNSOUND_SHARE)
        size = min(_MAX_FILE_BYTES, max(1, max_bytes // 8))
        self._letters = _Shelf(LETTERS, size)
        self._unsound = _Shelf(UNSOUND, min(size, max(1, self._unsound_max // 4)))
        self._lock = DirectoryLock(directory, IN_USE_LOCK)

    @property
    def stored(self) -> int:
        return self._letters.stored + self._unsound.stored

    @property
    def evictable(self) -> int:
        """Bytes that give way to letters of identified senders under any policy."""
        return self._unsound.stored

    def max_file_bytes(self, *, unsound: bool) -> int:
        return self._shelf(unsound).max_file_bytes

    def fits(self, size: int, *, unsound: bool) -> bool:
        """Whether a line of this size could ever be kept."""
        return size <= (self._unsound_max if unsound else self._max_bytes)

    def open(self) -> None:
        """Takes stock of earlier letters. BlockingIOError: a command works on these files right now."""
        check_writable(self.directory)
        if not self._lock.take(exclusive=False):
            raise BlockingIOError(errno.EAGAIN, "another command works on these files", str(self.directory))
        clear_leftovers(self.directory)
        for shelf in (self._letters, self._unsound):
            shelf.closed = {path: stored_bytes(path) for path in letter_paths(self.directory, (shelf.stem,))}
            shelf.stored = sum(shelf.closed.values())
            for path in shelf.closed:  # a clock that was set back must not make new letters older than these
                stamp, _, number = path.stem.removeprefix(f"{shelf.stem}-").partition("-")
                if stamp >= self._stamp and number.isdigit():
                    self._stamp = stamp
                    shelf.number = int(number)
        self.expire()

    def expire(self) -> None:
        """Deletes files whose newest letter is too old."""
        now = self._now()
        for shelf in (self._letters, self._unsound):
            if shelf.current is not None and now - shelf.current_since >= _MAX_FILE_AGE_S:
                shelf.finish_current()
            with contextlib.suppress(PermissionError):  # the cap still holds; the operator sees it in the directory
                while shelf.closed and now - _modified(next(iter(shelf.closed))) > self._max_age_s:
                    shelf.delete_oldest(count=False)

    def append(self, data: bytes, *, unsound: bool) -> int:
        """Makes lines durable. Returns how many old letters had to go."""
        shelf = self._shelf(unsound)
        self.expire()
        if shelf.current is not None and shelf.current.size + len(data) > shelf.max_file_bytes:
            shelf.finish_current()
        dropped = self._make_room(len(data), unsound=unsound)
        if shelf.current is None:
            shelf.current, shelf.number = new_file(self.directory, shelf.stem, self._stamp, shelf.number + 1)
            shelf.current.hold()
            shelf.current_since = self._now()
        before = shelf.current.size
        try:
            shelf.current.write(data)
            shelf.current.commit()
        except OSError:
            if not shelf.current.roll_back():
                shelf.finish_current()
            raise
        shelf.stored += shelf.current.size - before
        return dropped

    def roll(self) -> str:
        """Ends the files that are being written. Returns the name of the newest of all, "" when there is none."""
        self._letters.finish_current()
        self._unsound.finish_current()
        paths = letter_paths(self.directory)
        return paths[-1].name if paths else ""

    def mark(self, marks: Mapping[Path, Mapping[str, Line | None]]) -> None:
        """Makes marks durable, by file and key; see `add_marks`."""
        for path, of_file in marks.items():
            added = add_marks(path, of_file)
            shelf = self._of(path)
            if path in shelf.closed:
                shelf.resized(path, shelf.closed[path] + added)

    def clean(self, paths: Sequence[Path]) -> None:
        """Frees the space of letters that are done, where that is worth it."""
        for path in paths:
            self.purge(path, lambda line: False, always=False)

    def purge(self, path: Path, remove: Callable[[Line], bool], *, always: bool = True) -> Rewritten:
        """As `rewrite`. A file that another gateway writes to is left alone."""
        if not path.exists() or busy(path):
            return Rewritten({}, 0)
        done = rewrite(path, remove, always=always)
        self._of(path).resized(path, done.size)
        return done

    def close(self) -> None:
        self._letters.finish_current()
        self._unsound.finish_current()
        self._lock.release()

    def _shelf(self, unsound: bool) -> _Shelf:
        return self._unsound if unsound else self._letters

    def _of(self, path: Path) -> _Shelf:
        return self._shelf(path.name.startswith(f"{UNSOUND}-"))

    def _make_room(self, size: int, *, unsound: bool) -> int:
        dropped = 0
        junk = self._unsound
        while unsound and junk.stored + size > self._unsound_max:
            dropped += self._drop_oldest(junk)
        while self.stored + size > self._max_bytes:
            if junk.stored:
                dropped += self._drop_oldest(junk)
            elif unsound or not self._drops_oldest:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.directory))
            else:
                dropped += self._drop_oldest(self._letters)
        return dropped

    def _drop_oldest(self, shelf: _Shelf) -> int:
        if not shelf.closed:
            shelf.finish_current()
        if not shelf.closed:
            shelf.stored = 0  # nothing is left of what was counted
            return 0
        return shelf.delete_oldest(count=True)

    def _now(self) -> float:
        """Wall time that no jump of the clock can move ahead while the process runs: letters must not expire by it."""
        return min(self._wall_clock(), self._started + self._steady_clock())


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
