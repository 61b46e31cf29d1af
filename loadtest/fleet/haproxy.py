"""haproxy in front of several gateways, as a network load balancer would stand there: TCP, PROXY v2, health checks.

Place in the walk: the rig starts one when a scenario has more than one gateway. Its ports are sockets that this process
has bound, so that no port is fixed and none can be taken meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.faults.processes import RunFailed, until
from loadtest.fleet.ground import Address

__all__ = ["Haproxy", "Upstream", "find_haproxy"]

_CONFIG = """\
global
  maxconn {connections}
  stats socket {control} mode 600
  hard-stop-after 5s
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  option redispatch
  option httpchk GET /readyz
  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
"""
_PROXIED = ("tcp", "mqtt")
_POLL_S = 0.05


@dataclass(slots=True, frozen=True)
class Upstream:
    """One gateway. ports: by face. observe_port: where /readyz is."""

    name: str
    ports: Mapping[str, int]
    observe_port: int


def find_haproxy() -> str | None:
    """The program, also where it is not on everybody's path."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


class Haproxy:
    """`async with Haproxy(folder, upstreams) as front`; addresses: by face, once it is there."""

    def __init__(self, folder: Path, upstreams: Sequence[Upstream], connections: int) -> None:
        self.addresses: dict[str, Address] = {}
        self._folder = folder
        self._control = folder / "haproxy.sock"
        self._upstreams = upstreams
        self._connections = connections
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Haproxy:
        program = find_haproxy()
        if program is None:
            raise RunFailed("several gateways stand behind haproxy, which is not installed")
        with contextlib.ExitStack() as bound:
            sockets = {face: bound.enter_context(socket.socket()) for face in self._upstreams[0].ports}
            for face, made in sockets.items():
                made.bind(("127.0.0.1", 0))
                made.listen(1024)
                self.addresses[face] = made.getsockname()
            config = self._folder / "haproxy.cfg"
            config.write_text(self._text({face: made.fileno() for face, made in sockets.items()}))
            self._process = await asyncio.create_subprocess_exec(
                *(program, "-db", "-q", "-f", str(config)),
                pass_fds=[made.fileno() for made in sockets.values()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        for upstream in self._upstreams:
            await self.until_up(upstream.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def until_up(self, name: str) -> None:
        """Returns when it sends connections of every face to this gateway. RunFailed: it never does."""
        up: set[str] = set()

        async def look() -> None:
            while not up.issuperset(self.addresses):
                up.update(face for face, server, status in await self._status() if (server, status) == (name, "UP"))
                await asyncio.sleep(_POLL_S)

        task = asyncio.create_task(look(), name="haproxy's view")
        try:
            await until(task.done, f"haproxy uses {name}")
        finally:
            task.cancel()
        await task

    async def _status(self) -> list[tuple[str, str, str]]:
        """Face, gateway, state of each."""
        assert self._process is not None
        if self._process.returncode is not None:
            raise RunFailed(f"haproxy ended with exit code {self._process.returncode}")
        try:
            reader, writer = await asyncio.open_unix_connection(self._control)
        except OSError:
            return []  # not yet
        writer.write(b"show stat\n")
        text = (await reader.read()).decode()
        writer.close()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return [(row["pxname"], row["svname"], row["status"].split()[0]) for row in rows]

    def _text(self, files: Mapping[str, int]) -> str:
        lines = [_CONFIG.format(connections=self._connections, control=self._control)]
        for face, file in files.items():
            proxy = " send-proxy-v2" if face in _PROXIED else ""
            lines.append(f"listen {face}\n  bind fd@{file}\n  balance leastconn")
            lines += [
                f"  server {one.name} 127.0.0.1:{one.ports[face]} check port {one.observe_port}{proxy}"
                for one in self._upstreams
            ]
        return "\n".join(lines) + "\n"
