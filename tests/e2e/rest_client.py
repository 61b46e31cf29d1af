"""A caller of the REST API, as curl is one: bytes and headers as they are given."""

from __future__ import annotations

import hashlib
import hmac
import io
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from tests.e2e.rig import GUARD_S, Json, RunningGateway, config

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"


class Answered:
    """One answer, read to its end."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def statuses(self) -> list[str]:
        return [item["status"] for item in self.json["items"]]

    @property
    def codes(self) -> list[str]:
        """Of its items that have an error."""
        return [item["error"]["code"] for item in self.json["items"] if "error" in item]


class Caller:
    """`async with Caller(url) as caller`. headers: of every request."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._headers = headers or {}
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        timeout = aiohttp.ClientTimeout(GUARD_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Answered:
        """headers: `content_type` for Content-Type. data: bytes, or pieces of a body of unknown length."""
        assert self._session is not None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        skip = ["Content-Type"] if "content-type" not in named else []
        async with self._session.request(
            method, self.url + path, data=data, headers=self._headers | named, skip_auto_headers=skip
        ) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, data: Any, content_type: str = JSON, **headers: str) -> Answered:
        """data: bytes as they are, else JSON."""
        body = data if isinstance(data, bytes) or hasattr(data, "__aiter__") else orjson.dumps(data)
        if isinstance(body, bytes):
            body = io.BytesIO(body)  # aiohttp warns of large bytes
        return await self.ask("POST", path, body, content_type=content_type, **headers)


def rest_config(folder: Path, *, rest: Json | None = None, listener: Json | None = None, **sections: Any) -> Json:
    """A gateway that has REST alone."""
    own = {"name": "rest", "port": 0, "max_connections": 100, **(listener or {})}
    return config(folder, **{"tcp": {"listeners": []}, "rest": {"listeners": [own], **(rest or {})}, **sections})


def caller_of(rig: RunningGateway, **headers: str) -> Caller:
    return Caller(rig.rest_url(), {name.replace("_", "-"): value for name, value in headers.items()})


def signature(secret: str, body: bytes, timestamp: int | None = None) -> str:
    signed = body if timestamp is None else b"%d." % timestamp + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def item(device_id: str = "truck-1", **metrics: Any) -> Json:
    return {"device_id": device_id, "productId": "generic_json", "metrics": metrics or {"n": 1}}
