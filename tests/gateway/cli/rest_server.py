"""A REST face that answers as a test says, over real sockets, for commands that block."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """One request; its body out of its encoding."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass(slots=True)
class Given:
    """One answer. hang_up: the connection is closed instead."""

    status: int = 200
    document: Json | bytes = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


Answering = Callable[[Seen, int], Given]
"""Told of a request and how many came before."""


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering = answering
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        seen = Seen(self.path, headers, body)
        given = self.server.answering(seen, len(self.server.seen))
        self.server.seen.append(seen)
        if given.hang_up:
            self.close_connection = True
            return
        data = given.document if isinstance(given.document, bytes) else json.dumps(given.document).encode()
        self.send_response(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests say what they need themselves."""


@contextlib.contextmanager
def scripted(answering: Answering) -> Iterator[ScriptedServer]:
    with ScriptedServer(answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def taken(count: int, *items: Json) -> Given:
    """A batch of which so many are accepted, with the others' items."""
    return Given(207 if items else 200, {"accepted": count, "rejected": len(items), "items": list(items)})
