"""Pages of other sites, as browsers ask for them."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.ingress.rest.cors import answer_preflights, tell_origin
from gateway.ingress.rest.exchange import add_headers

DASH = "https://dash.example.com"
ORIGINS = frozenset({DASH, "http://127.0.0.1:3000"})
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


async def client() -> TestClient[web.Request, web.Application]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=422, text="no")

    app = web.Application(middlewares=[answer_preflights(ORIGINS)])
    app.on_response_prepare.append(add_headers)
    app.on_response_prepare.append(tell_origin(ORIGINS))
    app.router.add_route("*", "/v1/telemetry", answer)
    return TestClient(TestServer(app))


async def test_a_preflight_of_a_site_that_is_named() -> None:
    async with await client() as caller, caller.options("/v1/telemetry", headers={"Origin": DASH, **ASKS}) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == DASH
        assert answer.headers["Vary"] == "Origin"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://other.example.com", **ASKS},
        {"Origin": f"{DASH}.evil.example", **ASKS},
        {"Origin": "null", **ASKS},
        {"Origin": DASH.upper(), **ASKS},
        ASKS,
        {"Origin": DASH},
    ],
)
async def test_what_is_no_preflight_of_such_a_site_goes_on(headers: dict[str, str]) -> None:
    async with await client() as caller, caller.options("/v1/telemetry", headers=headers) as answer:
        assert answer.status == 422
        named = headers.get("Origin") == DASH
        assert ("Access-Control-Allow-Origin" in answer.headers) is named


async def test_answers_can_be_read_by_pages_of_the_site_alone() -> None:
    async with await client() as caller:
        for origin, resource in ((DASH, "cross-origin"), ("https://other.example.com", "same-origin")):
            async with caller.post("/v1/telemetry", data=b"{}", headers={"Origin": origin}) as answer:
                assert answer.status == 422
                assert answer.headers.get("Access-Control-Allow-Origin") == (origin if origin == DASH else None)
                assert answer.headers["Cross-Origin-Resource-Policy"] == resource
                assert answer.headers["Vary"] == "Origin"
                assert ("Retry-After" in answer.headers.get("Access-Control-Expose-Headers", "")) is (origin == DASH)
