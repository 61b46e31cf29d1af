"""Sends the chunks of `iotlink ingest`, each until it is answered for good.

Place in the walk: between `ingest_chunks` and a gateway's REST face. A chunk goes under its own Idempotency-Key: it may
be sent as often as it takes, and adds nothing twice.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.cli.ingest_chunks import Chunk

__all__ = ["BadTarget", "GaveUp", "LineError", "Pusher", "Refused", "Sent", "Target"]

_TIMEOUT_S = 60.0
_FIRST_WAIT_S = 0.5
_MOST_WAIT_S = 30.0
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_GZIP_LEVEL = 3
_MAX_EXPANSION = 100
"""What packs better than that goes as it is: a gateway takes it for a bomb (`rest.max_expansion_ratio`, 200)."""
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

Json = Mapping[str, Any]


class BadTarget(ValueError):
    """The URL is none."""


class Refused(Exception):
    """The gateway takes nothing of this kind: trying again as it is makes no sense."""


class GaveUp(Exception):
    """It was tried for as long as was asked for."""


@dataclass(slots=True, frozen=True)
class LineError:
    """Why the record in this line of the file was not taken."""

    line: int
    code: str
    message: str
    pointer: str = ""

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"line": self.line, "code": self.code, "message": self.message}
        if self.pointer:
            document["pointer"] = self.pointer
        return document


@dataclass(slots=True)
class Sent:
    """What became of one chunk. errors: also of records that are kept as dead letters."""

    accepted: int = 0
    rejected: int = 0
    errors: list[LineError] = field(default_factory=list)


class Target:
    """Where to. url: of the gateway, such as http://127.0.0.1:8080, with a path before its own if there is a proxy.

    Raises BadTarget.
    """

    def __init__(self, url: str, path: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadTarget(f"{url}: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise BadTarget(f"{url}: an address such as http://127.0.0.1:8080 is expected")
        self.path = parts.path.rstrip("/") + path
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._host, self._port = parts.hostname, port
        self._secure = parts.scheme == "https"

    def connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=_TIMEOUT_S)


@dataclass(slots=True)
class _Answer:
    status: int
    retry_after: str | None
    document: Json


class Pusher:
    """One connection to one target. headers: of every request.

    patience_s: how long one chunk is tried. waiting: hears why a chunk is tried again, and in how many seconds. sleep,
    clock: seconds.
    """

    def __init__(
        self,
        target: Target,
        headers: Mapping[str, str],
        *,
        packed: bool,
        patience_s: float,
        waiting: Callable[[str, float], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._headers = dict(headers)
        self._packed = packed
        self._patience_s = patience_s
        self._waiting = waiting
        self._sleep = sleep
        self._clock = clock
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def push(self, chunk: Chunk, key: str) -> Sent:
        """Sends a chunk until every record of it is taken or refused for good. Raises Refused, GaveUp."""
        sent = Sent(
            rejected=len(chunk.too_long),
            errors=[LineError(line, "too_large", "the line is longer than can be sent") for line in chunk.too_long],
        )
        if not chunk.body:
            return sent
        body = chunk.body
        headers = {**self._headers, "Idempotency-Key": key}
        if self._packed:
            packed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            if len(packed) * _MAX_EXPANSION >= len(body):
                body = packed
                headers["Content-Encoding"] = "gzip"
        deadline = self._clock() + self._patience_s
        wait_s = _FIRST_WAIT_S
        while True:
            answer, reason = self._ask(body, headers)
            if answer is not None and _is_final(answer):
                _read(answer.document, chunk, sent)
                return sent
            if answer is not None and answer.status not in _RETRIED and "accepted" not in answer.document:
                raise Refused(_why(answer))
            pause_s = _pause(answer, wait_s)
            if self._clock() + pause_s > deadline:
                raise GaveUp(f"{self._target.name}: {reason}; tried for {self._patience_s:g} s")
            self._waiting(reason, pause_s)
            self._sleep(pause_s)
            wait_s = min(wait_s * 2, _MOST_WAIT_S)

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> tuple[_Answer | None, str]:
        """The answer, and in a few words what is wrong with it; None when there was none."""
        try:
            answer = self._exchange(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return None, str(error) or type(error).__name__
        return answer, _why(answer)

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._target.connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # It may answer before it has read all, and close: the answer says why.
            connection.request("POST", self._target.path, body, dict(headers))
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER_BYTES)
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            document = None
        if response.will_close:
            self.close()
        return _Answer(response.status, response.headers["Retry-After"], document if isinstance(document, dict) else {})


def _is_final(answer: _Answer) -> bool:
    """Whether the answer tells of every record, for good."""
    document = answer.document
    if "accepted" not in document or document.get("pending"):
        return False
    return not any(item["error"].get("retry") for item in _failed(document))


def _failed(document: Json) -> list[Json]:
    return [item for item in document["items"] if "error" in item]


def _read(document: Json, chunk: Chunk, sent: Sent) -> None:
    """Adds what an answer tells."""
    sent.accepted += document["accepted"]
    sent.rejected += document["rejected"]
    for item in _failed(document):
        error = item["error"]
        line = chunk.lines[item["index"]]
        sent.errors.append(LineError(line, error["code"], error["message"], error.get("pointer", "")))


def _pause(answer: _Answer | None, wait_s: float) -> float:
    """What the gateway asks for, else a span around wait_s: many who wait should not come back at once."""
    asked = answer.retry_after if answer is not None else None
    if asked is not None and asked.isascii() and asked.isdigit():
        return float(asked[:6])
    return wait_s * random.uniform(0.5, 1.5)


def _why(answer: _Answer) -> str:
    document = answer.document
    said = document.get("detail") or http.client.responses.get(answer.status, "no answer of a gateway")
    limit = document.get("limit")
    name = f" (limit: {limit['name']})" if isinstance(limit, dict) and "name" in limit else ""
    return f"{answer.status} {document.get('code', '')}".rstrip() + f": {said}{name}"
