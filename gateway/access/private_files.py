"""Small private files of access (keys, when they were used): replaced whole, durable, changed by one process at a time.

Place in the walk: none; the key file and the note of its uses are written with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["alone_with", "replace_whole"]


@contextlib.contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Keeps other processes that ask for it away from the file, in a folder that is made. Blocks. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _give(lock, path.parent)
        yield
    finally:
        os.close(lock)


def replace_whole(path: Path, data: bytes) -> None:
    """Replaces the file (mode 0600): a reader sees all of it, as it was or as it is, also after a crash. Raises
    OSError."""
    target = Path(os.path.realpath(path))  # a link stays one
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            _give(file.fileno(), target.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _give(file: int, folder: Path) -> None:
    """What root makes belongs to the owner of the folder, who runs the gateway."""
    if os.geteuid() == 0:
        status = folder.stat()
        os.fchown(file, status.st_uid, status.st_gid)
