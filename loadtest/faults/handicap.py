"""Runs the gateway on a worse machine: `python -m loadtest.faults.handicap [options] -- serve ...`.

For faults that a process cannot be given from outside without being root: a disk with a quota or with errors, a clock
that jumps. Only calls of the `os` and `time` modules are replaced; the gateway's own code runs as it is.
"""

from __future__ import annotations

import argparse
import errno
import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path


class Quota:
    """`os.write` with ENOSPC once the files below `folder` have `max_bytes`. What fits is written, as disks do it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = str(folder)
        self._max_bytes = max_bytes
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        if not os.readlink(f"/proc/self/fd/{fd}").startswith(self._folder):
            return self._write(fd, data)
        free = self._max_bytes - used_bytes(self._folder)
        if free <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(fd, data[:free])


def used_bytes(folder: str) -> int:
    """Sum of the sizes of all files below a folder."""
    total = 0
    for entry in os.scandir(folder):
        try:
            total += used_bytes(entry.path) if entry.is_dir() else entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


class BrokenSync:
    """`os.fdatasync` that fails with EIO at the given calls (counted from 1), and only then."""

    def __init__(self, fails_at: Sequence[int]) -> None:
        self._fails_at = frozenset(fails_at)
        self._calls = 0
        self._fdatasync = os.fdatasync

    def fdatasync(self, fd: int) -> None:
        self._calls += 1
        if self._calls in self._fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fdatasync(fd)


class JumpingClock:
    """`time.time` and `time.time_ns`, ahead by the number of seconds in a file, which SIGUSR1 makes it read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._time_ns = time.time_ns
        self._ahead_ns = 0
        self.read()

    def read(self, *_: object) -> None:
        self._ahead_ns = round(float(self._path.read_text()) * 1e9)

    def time_ns(self) -> int:
        return self._time_ns() + self._ahead_ns

    def time(self) -> float:
        return self.time_ns() / 1e9


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.faults.handicap", description=__doc__)
    parser.add_argument("--disk", type=Path, help="folder that has a quota")
    parser.add_argument("--disk-bytes", type=int, default=1 << 30)
    parser.add_argument("--sync-fails-at", type=int, action="append", default=[], help="call of fdatasync; again: more")
    parser.add_argument("--clock", type=Path, help="file with seconds that the clock is ahead; SIGUSR1: read it again")
    parser.add_argument("rest", nargs="*", help="arguments of the gateway")
    options = parser.parse_args(arguments)
    # os and time themselves: what imports them later gets the replacements.
    if options.disk is not None:
        os.write = Quota(options.disk.resolve(), options.disk_bytes).write  # type: ignore[assignment]
    if options.sync_fails_at:
        os.fdatasync = BrokenSync(options.sync_fails_at).fdatasync  # type: ignore[assignment]
    if options.clock is not None:
        clock = JumpingClock(options.clock)
        time.time, time.time_ns = clock.time, clock.time_ns
        signal.signal(signal.SIGUSR1, clock.read)
    sys.argv = ["gateway", *options.rest]
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
