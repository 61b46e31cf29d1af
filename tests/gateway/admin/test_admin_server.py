"""The admin listener: who may ask at all, and the form of its errors."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.admin.dead_letters import DeadLetterRoutes
from gateway.admin.server import AdminServer
from gateway.domain.errors import OperatorError
from gateway.observe.metrics import Metrics
from tests.gateway.admin.conftest import MakeBench

Ask = Callable[..., Any]


@pytest.fixture
async def ask(bench: MakeBench) -> AsyncIterator[Ask]:
    """`await ask("GET", path, ...)` gives status, headers and JSON."""
    async with bench() as b, contextlib.AsyncExitStack() as stack:
        server = AdminServer(DeadLetterRoutes(b.replayer), Metrics(), host="127.0.0.1", port=0)
        await server.start()
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)))

        async def request(method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
            async with session.request(method, f"http://127.0.0.1:{server.port}{path}", **options) as answer:
                return answer.status, answer.headers, await answer.json(content_type=None)

        yield request


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9465", "[::1]:1", "127.9.9.9"])
async def test_this_machine_may_ask(ask: Ask, host: str) -> None:
    status, headers, _ = await ask("GET", "/v1/dead-letters", headers={"Host": host})
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9465", "127.0.0.1.evil.example", "10.0.0.1", "[", ""])
async def test_a_name_that_was_rebound_is_refused(ask: Ask, host: str) -> None:
    status, _, body = await ask("GET", "/v1/dead-letters", headers={"Host": host})
    assert (status, body["code"]) == (421, "wrong_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_pages_of_other_sites_are_refused(ask: Ask, headers: dict[str, str]) -> None:
    status, answered, body = await ask("POST", "/v1/dead-letters:purge", json={"all": True}, headers=headers)
    assert (status, body["code"]) == (403, "cross_site")
    assert "Access-Control-Allow-Origin" not in answered


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_what_a_form_can_send_is_refused(ask: Ask, kind: str) -> None:
    status, _, body = await ask("POST", "/v1/dead-letters:purge", data=b'{"all":true}', headers={"Content-Type": kind})
    assert (status, body["code"]) == (415, "not_json")


async def test_a_preflight_is_not_answered(ask: Ask) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    status, answered, _ = await ask("OPTIONS", "/v1/dead-letters:purge", headers=headers)
    assert status in (405, 415)
    assert not [name for name in answered if name.lower().startswith("access-control")]


async def test_errors_are_problem_documents(ask: Ask) -> None:
    status, headers, body = await ask("GET", "/nothing", headers={"X-Request-Id": "mine-1"})
    assert headers["Content-Type"].startswith("application/problem+json")
    assert (status, body["status"], body["code"], body["title"]) == (404, 404, "not_found", "Not found")
    assert body["type"] == "urn:iotlink:problem:not_found"
    assert headers["X-Request-Id"] == body["request_id"] == "mine-1"
    status, headers, body = await ask("DELETE", "/v1/dead-letters", json={}, headers={"X-Request-Id": "a b"})
    assert (status, body["code"], headers["Allow"]) == (405, "method_not_allowed", "GET,HEAD")
    assert body["request_id"] != "a b"


async def test_a_body_has_a_limit(ask: Ask) -> None:
    status, _, body = await ask("POST", "/v1/dead-letters:purge", json={"product": "x" * 300_000})
    assert (status, body["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError("secret"), 500, "internal_error"), (OSError(28, "No space"), 507, "disk")],
)
async def test_errors_of_ours(bench: MakeBench, error: Exception, status: int, code: str) -> None:
    class Failing(DeadLetterRoutes):
        def add_to(self, router: web.UrlDispatcher) -> None:
            router.add_get("/x", self.fail)

        async def fail(self, _: web.Request) -> web.Response:
            raise error

    async with bench() as b:
        server = AdminServer(Failing(b.replayer), Metrics(), host="127.0.0.1", port=0)
        await server.start()
        with capture_logs() as logs:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}/x") as answer:
                body = await answer.json(content_type=None)
        await server.stop()
        await server.stop()
    assert (answer.status, body["code"]) == (status, code)
    assert "secret" not in str(body)
    assert len(logs) == 1


async def test_what_is_no_http_is_counted(bench: MakeBench) -> None:
    async with bench() as b:
        metrics = Metrics()
        server = AdminServer(DeadLetterRoutes(b.replayer), metrics, host="127.0.0.1", port=0)
        await server.start()
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"\x16\x03\x01\x00\xc2\x01\x00\x00")
        async with asyncio.timeout(30):
            assert b" 400 " in await reader.read()
        writer.close()
        await server.stop()
    assert metrics.malformed_requests == {"admin": 1}


@pytest.mark.parametrize("origin", ["http://[", "http://[x]"])
async def test_an_origin_that_is_none_is_refused(ask: Ask, origin: str) -> None:
    status, _, body = await ask("GET", "/v1/dead-letters", headers={"Origin": origin})
    assert (status, body["code"]) == (403, "cross_site")


async def test_a_port_that_is_taken_refuses_the_start(bench: MakeBench) -> None:
    async with bench() as b:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = AdminServer(DeadLetterRoutes(b.replayer), Metrics(), host="127.0.0.1", port=port)
            with pytest.raises(OperatorError, match=rf"admin: cannot listen on 127\.0\.0\.1:{port}: .*`admin\.port`"):
                await server.start()
