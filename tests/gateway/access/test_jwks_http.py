from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.access import jwks_http
from gateway.access.jwks import MAX_JWKS_BYTES, KeyFetchError
from gateway.access.jwks_http import fetch_key_set


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/keys", handler)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/keys"
    finally:
        await runner.cleanup()


async def test_a_key_set_is_fetched() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"keys": []})

    async with serving(handler) as url:
        assert await fetch_key_set(url) == b'{"keys": []}'


async def test_another_status_and_a_redirect_are_failures() -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=503)

    async with serving(moved) as url:
        with pytest.raises(KeyFetchError, match=f"{url}: answered 302"):
            await fetch_key_set(url)
    async with serving(broken) as url:
        with pytest.raises(KeyFetchError, match="answered 503"):
            await fetch_key_set(url)


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65_536)
                sent += 65_536
        except ConnectionError:
            return answer

    async with serving(handler) as url:
        with pytest.raises(KeyFetchError, match="longer than"):
            await fetch_key_set(url)
    assert sent >= MAX_JWKS_BYTES


async def test_an_answer_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_http, "_TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with serving(handler) as url:
        with pytest.raises(KeyFetchError, match=r"no answer within 0\.05 s"):
            await fetch_key_set(url)
        never.set()


async def test_nobody_there_is_a_failure() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with serving(handler) as url:
        pass
    with pytest.raises(KeyFetchError, match=url):
        await fetch_key_set(url)
