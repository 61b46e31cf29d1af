"""Who may write to a spool directory: the one process that holds the lock of its file `lock`."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from gateway.domain.errors import OperatorError

LOCK_NAME = "lock"
_MAX_OWNER_BYTES = 256


class DirectoryLock:
    """Taken when made, until `release` or the end of the process, however it ends. Blocking, but short."""

    def __init__(self, directory: Path) -> None:
        """OperatorError: another process has it. OSError: the file cannot be made."""
        self.path = directory / LOCK_NAME
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.pread(fd, _MAX_OWNER_BYTES, 0).decode(errors="replace").strip() or "another process"
                os.close(fd)
                raise OperatorError(
                    f"{directory}: in use by {owner}. Two gateways must not share a spool: stop the other one, "
                    f"or give this one its own gateway.id or spool.dir"
                ) from error
            except OSError:
                os.close(fd)
                raise
            if os.fstat(fd).st_nlink:  # else its last owner removed the directory between our two calls
                break
            os.close(fd)
        self._fd = fd
        owner = f"process {os.getpid()} on {socket.gethostname()}\n"
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, owner.encode(), 0)
        except OSError:  # a full disk: the lock holds all the same, only its text is missing
            return

    def release(self) -> None:
        os.close(self._fd)

    def remove(self) -> None:
        """Deletes the file while the lock is held, then releases it."""
        self.path.unlink(missing_ok=True)
        self.release()


def is_free(directory: Path) -> bool:
    """Whether the lock of this directory could be taken just now. A directory without a lock file is nobody's."""
    try:
        fd = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
