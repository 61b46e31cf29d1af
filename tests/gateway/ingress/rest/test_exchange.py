from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.ingress.rest.exchange import EXCHANGE
from gateway.observe.problems import Problem, ProblemCode
from tests.gateway.ingress.rest.rig import GUARD_S, Served, serving


async def fine(request: web.Request) -> web.Response:
    exchange = request[EXCHANGE]
    exchange.client = "erp"
    exchange.items = 3
    exchange.fields["upload_lines"] = 7
    assert 0 < exchange.left_s() <= GUARD_S
    return web.json_response({"id": request.match_info.get("product")})


async def ask(served: Served, path: str = "/x", method: str = "POST", **options: Any) -> tuple[int, Any, Any]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
        session.request(method, served.url + path, **options) as answer,
    ):
        return answer.status, answer.headers, await answer.json(content_type=None)


@pytest.mark.parametrize("given", ["r-1", "A.b_c-9", "x" * 64])
async def test_a_request_id_is_taken_and_echoed(given: str) -> None:
    async with serving({"/x": fine}) as served:
        _, headers, _ = await ask(served, headers={"X-Request-Id": given})
    assert headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "a;b", 'a"b'])
async def test_another_one_is_made(given: str) -> None:
    async with serving({"/x": fine}) as served:
        _, headers, _ = await ask(served, headers={"X-Request-Id": given})
        _, again, _ = await ask(served)
    assert headers["X-Request-Id"] not in (given, again["X-Request-Id"])
    assert len(headers["X-Request-Id"]) == 16


async def test_headers_of_every_answer() -> None:
    async with serving({"/x": fine}) as served:
        for path in ("/x", "/nothing"):
            _, headers, _ = await ask(served, path, headers={"Origin": "https://evil.example"})
            assert headers["Server"] == "iotlink"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Frame-Options"] == "DENY"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert headers["Referrer-Policy"] == "no-referrer"
            assert not [name for name in headers if name.lower().startswith("access-control")]


async def test_a_preflight_is_not_answered() -> None:
    async with serving({"/x": fine}) as served:
        headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        status, answered, body = await ask(served, method="OPTIONS", headers=headers)
    assert (status, body["code"], answered["Allow"]) == (405, "method_not_allowed", "POST")
    assert body["detail"] == "OPTIONS is not taken here: POST is"


async def test_one_line_of_log_with_the_template_and_no_path() -> None:
    async with serving({"/v1/frames/{product}": fine}) as served:
        with capture_logs() as logs:
            await ask(served, "/v1/frames/secret?token=secret", data=b"abc", headers={"X-Request-Id": "r-7"})
            await served.wait_counted(1)
    assert served.counted == [("/v1/frames/{product}", "POST", 200)]
    (line,) = [entry for entry in logs if entry["event"] == "http_request"]
    assert line.pop("ms") >= 0
    assert line == {
        "event": "http_request",
        "log_level": "info",
        "listener": "rest",
        "request_id": "r-7",
        "method": "POST",
        "route": "/v1/frames/{product}",
        "status": 200,
        "bytes_in": 0,
        "items": 3,
        "client": "erp",
        "peer": "127.0.0.1",
        "upload_lines": 7,
    }
    assert "secret" not in str(line)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-00-more", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("x" * 8000, None),
    ],
)
async def test_the_line_names_the_trace_of_the_caller(given: str, told: str | None) -> None:
    async with serving({"/x": fine}) as served:
        with capture_logs() as logs:
            await ask(served, headers={"traceparent": given})
            await served.wait_counted(1)
    assert [entry.get("trace_id") for entry in logs if entry["event"] == "http_request"] == [told]


async def test_what_no_route_has() -> None:
    async with serving({"/x": fine}) as served:
        status, headers, body = await ask(served, "/secret/path", method="PURGE")
        assert (status, body["code"]) == (404, "not_found")
        assert body["detail"] == "no such path: the calls are listed at /docs"
        assert headers["Content-Type"] == "application/problem+json"
        assert body["request_id"] == headers["X-Request-Id"]
    assert served.counted == [("unmatched", "other", 404)]


async def test_a_problem_is_answered_as_such() -> None:
    async def handler(_: web.Request) -> web.Response:
        raise Problem(403, "not_yours", "no", retry_after_s=3)

    async with serving({"/x": handler}) as served:
        status, headers, body = await ask(served)
    assert (status, body["code"], headers["Retry-After"]) == (403, "not_yours", "3")


@pytest.mark.parametrize("error", [ValueError("secret"), TimeoutError("secret")])
async def test_a_mistake_of_ours_tells_nothing(error: Exception) -> None:
    async def handler(_: web.Request) -> web.Response:
        raise error

    async with serving({"/x": handler}) as served:
        with capture_logs() as logs:
            status, _, body = await ask(served)
            await served.wait_counted(1)
    assert (status, body["code"]) == (500, ProblemCode.INTERNAL_ERROR)
    assert "secret" not in str(body)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["http_request_failed"]


async def test_a_handler_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.rest.exchange._GRACE_S", 0.0)

    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving({"/x": handler}, deadline_s=0.05) as served:
        status, headers, body = await ask(served)
    assert (status, body["code"], headers["Retry-After"]) == (503, "deadline", "1")
    assert body["limit"] == {"name": "request_timeout_s", "value": 0.05}


async def test_an_upload_takes_its_time_and_hurries_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.rest.exchange._GRACE_S", 0.0)
    taken: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        exchange = request[EXCHANGE]
        deadline = exchange.deadline
        exchange.take_time()
        while asyncio.get_running_loop().time() <= deadline:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        taken.append(exchange.left_s())
        exchange.hurry()
        taken.append(exchange.left_s())
        await asyncio.Event().wait()
        raise AssertionError

    async with serving({"/x": handler}, deadline_s=0.03) as served:
        status, _, body = await ask(served)
    assert (status, body["code"]) == (503, "deadline")
    assert taken[0] == float("inf")
    assert 0 < taken[1] <= 0.03


async def test_a_client_that_is_gone_is_logged_as_such() -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        raise AssertionError

    async with serving({"/x": handler}) as served:
        _, writer = await served.connect()
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.transport.abort()
        await served.wait_counted(1)
    assert served.counted == [("/x", "POST", 499)]


async def test_a_redirect_passes() -> None:
    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPFound("/y")

    async with serving({"/x": handler}) as served:
        assert b"302 Found" in await served.raw(b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await served.wait_counted(1)
    assert served.counted == [("/x", "POST", 302)]
