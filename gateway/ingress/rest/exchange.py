"""One request and its answer: id, deadline, the form of errors, headers of every answer, one line of access log.

Place in the walk: the middleware around every handler of the REST face.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from gateway.ingress.rest.unrouted import is_unrouted, no_such_path, not_taken
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["EXCHANGE", "Exchange", "RequestEnded", "add_headers", "exchanges", "leave_expectation"]

_CLIENT_GONE = 499
"""Status in log and metrics of a request whose client went away before the answer."""
_UNMATCHED = "unmatched"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context, `traceparent`: version, trace, parent, flags; later versions may say more behind them."""
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GRACE_S = 5.0  # a handler that has not answered so long after its deadline is ended
_SERVER = "iotlink"
_HEADERS = {
    istr("Cache-Control"): "no-store",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Referrer-Policy"): "no-referrer",
    istr("X-Content-Type-Options"): "nosniff",
    istr("X-Frame-Options"): "DENY",
}
_SERVER_HEADER, _ID_HEADER, _EXPECT = istr("Server"), istr("X-Request-Id"), istr("Expect")
_TRACE_HEADER = istr("traceparent")
_ID_DIGITS = 16
_POOL_IDS = 512
"""Ids for which random bytes are fetched at once."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Exchange:
    """What is known of one request. deadline: of `loop.time()`. client: who is proven to send it, or "".

    bytes_in: of its body, as sent. items: in it. fields: further ones of its line in the access log. is_awaited: the
    client sends the body once it is told to.
    """

    request_id: str
    deadline: float
    limit_s: float
    client: str = ""
    bytes_in: int = 0
    items: int = 0
    fields: dict[str, str | int] = field(default_factory=dict)
    is_awaited: bool = False
    _end: asyncio.Timeout | None = None

    async def ask_for_body(self, request: web.Request) -> None:
        """To be called before the first read of a body that is not there yet: nothing stands against it any more (RFC
        9110 section 10.1.1)."""
        if self.is_awaited:
            self.is_awaited = False
            await request.writer.write(_CONTINUE)
            request.writer.output_size = 0  # the answer itself has not begun

    def left_s(self) -> float:
        """Seconds until the deadline, not below 0."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def take_time(self) -> None:
        """The body may come as long as it comes: its upload has limits of its own. The deadline is put off until
        `hurry`."""
        self.deadline = float("inf")
        if self._end is not None:
            self._end.reschedule(None)

    def hurry(self) -> None:
        """The body has ended: from here on the answer has the usual time."""
        self.deadline = asyncio.get_running_loop().time() + self.limit_s
        if self._end is not None:
            self._end.reschedule(self.deadline + _GRACE_S)


EXCHANGE = web.RequestKey("exchange", Exchange)


class RequestEnded(Protocol):
    """Called after each request, as `events.http_request`. route: its template."""

    def __call__(
        self, *, route: str, method: str, status: int, seconds: float, fields: Mapping[str, str | int]
    ) -> None: ...


def exchanges(deadline_s: float, ended: RequestEnded) -> Middleware:
    """The middleware. deadline_s: time for one request, its body included."""

    ids = _RequestIds()

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()  # the loop's clock goes by whole milliseconds
        given = request.headers.get(_ID_HEADER)
        request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else ids.make()
        exchange = request[EXCHANGE] = Exchange(request_id, asyncio.get_running_loop().time() + deadline_s, deadline_s)
        status = _CLIENT_GONE
        try:
            response = await _answer(request, handler, exchange)
            status = response.status
            response.headers[_ID_HEADER] = request_id
            if exchange.is_awaited:
                response.force_close()  # whether the body still comes is not known
            return response
        except web.HTTPException as redirect:
            status = redirect.status
            redirect.headers[_ID_HEADER] = request_id
            raise
        finally:
            seconds = time.perf_counter() - began
            route, method = route_of(request), request.method if request.method in _METHODS else "other"
            fields: dict[str, str | int] = {
                "request_id": request_id,
                "bytes_in": exchange.bytes_in,
                "items": exchange.items,
                "client": exchange.client,
                "peer": request.remote or "",
                **exchange.fields,
            }
            trace = _TRACE.fullmatch(request.headers.get(_TRACE_HEADER, ""))
            if trace is not None:
                fields["trace_id"] = trace[1]
            ended(route=route, method=method, status=status, seconds=seconds, fields=fields)

    return answer


class _RequestIds:
    """Random ids of 16 hex digits."""

    __slots__ = ("_offset", "_pool")

    def __init__(self) -> None:
        self._pool = ""
        self._offset = 0

    def make(self) -> str:
        offset = self._offset
        if offset == len(self._pool):
            self._pool = os.urandom(_POOL_IDS * _ID_DIGITS // 2).hex()
            offset = 0
        self._offset = offset + _ID_DIGITS
        return self._pool[offset : self._offset]


async def _answer(request: web.Request, handler: Handler, exchange: Exchange) -> web.StreamResponse:
    """The handler's answer, or that to its error. ConnectionError: nobody is there to hear it."""
    request_id = exchange.request_id
    try:
        async with asyncio.timeout_at(exchange.deadline + _GRACE_S) as end:
            exchange._end = end
            if _EXPECT in request.headers:
                _read_expectation(request, exchange)
            return await handler(request)
    except Problem as problem:
        return problem.response(request_id)
    except TimeoutError:
        if not end.expired():
            return _internal_error(request, exchange)
        detail = f"no answer within {exchange.limit_s:g} s; what was sent may have been kept"
        limit = Limit("request_timeout_s", exchange.limit_s)
        return Problem(503, ProblemCode.DEADLINE, detail, limit=limit, retry_after_s=1).response(request_id)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        codes = {404: ProblemCode.NOT_FOUND, 405: ProblemCode.METHOD_NOT_ALLOWED, 413: ProblemCode.TOO_LARGE}
        code = codes.get(error.status, ProblemCode.BAD_REQUEST)
        detail, headers = error.reason, {}
        if isinstance(error, web.HTTPMethodNotAllowed):
            method = request.method if request.method in _METHODS else ""
            detail, headers = not_taken(method, error.allowed_methods), {"Allow": error.headers["Allow"]}
        elif error.status == 404:
            detail = no_such_path(request.path)
        return Problem(error.status, code, detail, headers=headers).response(request_id)
    except ConnectionError:
        raise
    except Exception:
        return _internal_error(request, exchange)
    finally:
        exchange._end = None


async def leave_expectation(_: web.Request) -> None:
    """The `expect_handler` of every route: aiohttp's would ask for the body at once."""


def _read_expectation(request: web.Request, exchange: Exchange) -> None:
    """Raises Problem(417) for one that nobody knows. HTTP/1.0 has none."""
    if request.version < HttpVersion11:
        return
    if any(value.strip().lower() != "100-continue" for value in request.headers.getall(_EXPECT)):
        detail = "Expect: `100-continue` is the only one that is known"
        raise Problem(417, ProblemCode.UNKNOWN_EXPECTATION, detail)
    exchange.is_awaited = not request.content.is_eof()


def _internal_error(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    _log.exception("http_request_failed", route=route_of(request), request_id=exchange.request_id)
    detail = "an error of ours; the log says more under this request_id"
    return Problem(500, ProblemCode.INTERNAL_ERROR, detail).response(exchange.request_id)


def route_of(request: web.Request) -> str:
    """The template of its route, such as `/v1/frames/{product}`: paths may hold names and secrets."""
    resource = request.match_info.route.resource
    return _UNMATCHED if resource is None or is_unrouted(resource) else resource.canonical


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: headers of every answer, which a handler may have set otherwise."""
    headers = response.headers
    headers[_SERVER_HEADER] = _SERVER  # aiohttp has set its own, with its version
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
