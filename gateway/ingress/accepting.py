"""Acceptor: the listening sockets of one address, and the connections that arrive on them.

Place in the walk: the very beginning; StreamListener gives each connection its face. Instead of the event loop's own
server, which on uvloop takes one connection in each of its turns: when thousands of connections break at once a turn
takes long, and the queue of those who come back overflows.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

__all__ = ["Acceptor"]

_log = structlog.get_logger(__name__)

MAX_PER_TURN = 256
"""Connections taken in one turn of the event loop; those that are there already get theirs in between."""

PAUSE_S = 1.0
"""Until it is tried again when there is no file or memory for one more."""


class Acceptor:
    """Life: open, close; then `settled`. name: for the log. make: the protocol of one connection. backlog: how many
    may wait to be taken; the system's own limit (`net.core.somaxconn`) may be lower."""

    def __init__(self, name: str, make: Callable[[], asyncio.Protocol], backlog: int) -> None:
        self._name = name
        self._make = make
        self._backlog = backlog
        self._sockets: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return [sock.getsockname()[:2] for sock in self._sockets]

    async def open(self, host: str, port: int) -> None:
        """Listens on every address of the host. Raises OSError or UnicodeError: not all can be had, and none is."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
                sock = socket.create_server(address, family=family, backlog=self._backlog)
                self._sockets.append(sock)
                sock.setblocking(False)
        except OSError:
            self.close()
            raise
        for sock in self._sockets:
            loop.add_reader(sock, self._take, sock)

    def close(self) -> None:
        """Takes no more."""
        loop = asyncio.get_running_loop()
        for timer in self._pauses.values():
            timer.cancel()
        self._pauses.clear()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    async def settled(self) -> None:
        """Returns when every connection that was taken has its protocol."""
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _take(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MAX_PER_TURN):
            try:
                connection, _ = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # it has left the queue
            except OSError as error:
                _log.error("cannot_accept", listener=self._name, detail=error.strerror)
                loop.remove_reader(sock)
                self._pauses[sock] = loop.call_later(PAUSE_S, self._go_on, sock)
                return
            connection.setblocking(False)
            task: asyncio.Task[object] = loop.create_task(self._give(connection), name=f"accept {self._name}")
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _go_on(self, sock: socket.socket) -> None:
        del self._pauses[sock]
        asyncio.get_running_loop().add_reader(sock, self._take, sock)

    async def _give(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connection)
        except Exception:
            _log.exception("accept_failed", listener=self._name)
            connection.close()
