"""An image's process as an engine starts it: first process of its own PID namespace, read-only root, the image's user,
no capabilities, no new privileges. It has the machine's network, so that a test can reach it on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from tests.deploy.image.stand_in import Image
from tests.e2e.rig import GUARD_S, Json, until

DATA = "/var/lib/iotlink"

# $1 root of the image, $2 folder of the volume, $3 user, $4 group, then the command; a list of mounts on stdin.
_START = f"""
set -eu
root=$1 data=$2 user=$3 group=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
while read -r from to; do mount --bind "$from" "$root$to"; mount -o remount,bind,ro "$root$to"; done
mount --bind "$data" "$root{DATA}"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all \\
  --inh-caps=-all -- env -i "$@" </dev/null
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Container:
    """`async with Container(image, data, command) as process`. data: folder that stands at /var/lib/iotlink.

    mounts: files of this machine by their place in the container, read-only. entrypoint: another one than the image's.
    """

    def __init__(
        self,
        image: Image,
        data: Path,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        entrypoint: Sequence[str] = (),
    ) -> None:
        self._image = image
        self._data = data
        self._command = [*(entrypoint or image.config["Entrypoint"]), *command]
        self._environment = [*image.config["Env"], *(f"{key}={value}" for key, value in (environment or {}).items())]
        self._mounts = mounts or {}
        self.output: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        image = self._image
        user, _, group = image.config["User"].partition(":")
        self._process = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "--pid", "--fork", "sh", "-c", _START, "container"),
            *(str(image.root), str(self._data), user, group),
            *("-C", image.config["WorkingDir"], *self._environment, *self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdin is not None
        for place, file in self._mounts.items():
            self._process.stdin.write(f"{file} {place}\n".encode())
        self._process.stdin.close()
        self._reading = asyncio.create_task(self._read(), name="output of the container")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):  # it has ended
            os.kill(self.pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> int:
        """Waits for the end; returns the exit code."""
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(GUARD_S):
            await self._reading
            return await self._process.wait()

    async def started(self) -> None:
        """Waits until the gateway in it listens everywhere."""
        await until(lambda: bool(self.events("started")) or self._over, "the container has started")
        assert self.events("started"), self.output

    async def terminate(self) -> int:
        """SIGTERM to the first process of the container; returns the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return await self.ended()

    @property
    def pid(self) -> int:
        """The container's first process, by the number that it has outside."""
        assert self._process is not None
        outer = self._process.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text("ascii").split()[0])

    def events(self, name: str) -> list[Json]:
        """Log lines of one kind."""
        lines: list[Json] = [orjson.loads(line) for line in self.output if line.startswith('{"')]
        return [line for line in lines if line["event"] == name]

    def port(self, name: str) -> int:
        """Of a listener or face, by its name in the log."""
        found: int = next(
            line["port"] for line in self.events("listening") if name in (line.get("listener"), line["face"])
        )
        return found

    @property
    def _over(self) -> bool:
        assert self._reading is not None
        return self._reading.done()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output.append(line.decode().rstrip("\n"))


async def run(
    image: Image, data: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """One command in a container of its own: exit code and output."""
    async with Container(image, data, command, environment=environment) as container:
        return await container.ended(), container.output
