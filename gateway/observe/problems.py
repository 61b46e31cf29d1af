"""Errors of the HTTP APIs as RFC 9457 problem documents, for the REST face and the operations API.

Place in the walk: raised by whoever finds out, turned into an answer by the middleware of the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

__all__ = ["PROBLEM_TYPE", "Limit", "Problem", "ProblemCode", "json_response"]

PROBLEM_TYPE = "urn:iotlink:problem:"
"""Before the code: the `type` of a problem. It names the kind for ever, and is no address to fetch."""


class ProblemCode(StrEnum):
    """What went wrong, for programs; `detail` says it for people."""

    # requests
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    WRONG_HOST = "wrong_host"
    CROSS_SITE = "cross_site"
    UNKNOWN_EXPECTATION = "unknown_expectation"  # the Expect header
    NO_FILTER = "no_filter"
    BAD_PARAMETER = "bad_parameter"
    UNKNOWN_PRODUCT = "unknown_product"
    NOT_ALLOWED = "not_allowed"  # proven who calls, and beyond its scope
    LIMIT_REACHED = "limit_reached"  # a quota
    # bodies
    EMPTY_BODY = "empty_body"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    TOO_MANY_ITEMS = "too_many_items"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_CHARSET = "unsupported_charset"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    BROKEN_ENCODING = "broken_encoding"  # compressed data that no decompressor can read
    BROKEN_TRANSFER = "broken_transfer"  # the chunks of a body are not as HTTP has them
    BROKEN_TEXT = "broken_text"  # not the text that its type or charset says
    SLOW_BODY = "slow_body"
    BAD_HEADER = "bad_header"  # of CSV
    # items
    NOTHING_ACCEPTED = "nothing_accepted"
    NOT_SETTLED = "not_settled"  # at the deadline nobody knows yet
    # idempotency keys
    BAD_KEY = "bad_idempotency_key"
    KEY_IN_PROGRESS = "idempotency_key_in_progress"
    KEY_REUSED = "idempotency_key_reused"  # with another request
    TOO_MANY_KEYS = "too_many_idempotency_keys"
    # the gateway
    BUSY = "busy"
    NO_ROOM = "no_room"
    DRAINING = "draining"
    DEADLINE = "deadline"
    DISK = "disk"
    INTERNAL_ERROR = "internal_error"


@dataclass(slots=True, frozen=True)
class Limit:
    """A limit that was met: the name of its setting, and what it is set to."""

    name: str
    value: int | float


class Problem(Exception):
    """Ends a request.

    code: a ProblemCode, or a code of another closed set (why access was denied).
    errors: what is wrong in parts of it: objects with `code` and `message` (or `detail`), and a place: `pointer` (RFC
    6901), `line`, `index` or `field`. retry_after_s: when it may be tried again. more: further members of the document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        *,
        limit: Limit | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def document(self) -> dict[str, Any]:
        """The problem document, all but the id of the request."""
        body: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": str(self.code),
            "detail": self.detail,
        }
        if self.limit is not None:
            body["limit"] = {"name": self.limit.name, "value": self.limit.value}
        body |= self.more
        if self.errors:
            body["errors"] = self.errors
        return body

    def response(self, request_id: str) -> web.Response:
        body = self.document() | {"request_id": request_id}
        response = json_response(body, self.status, "application/problem+json")
        if self.retry_after_s is not None:
            response.headers["Retry-After"] = str(self.retry_after_s)
        response.headers.update(self.headers)
        return response


def json_response(body: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    data = orjson.dumps(body, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    return web.Response(status=status, body=data, content_type=content_type, headers=headers)
