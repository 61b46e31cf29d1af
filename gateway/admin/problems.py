"""Errors of the HTTP API as RFC 9457 problem documents."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

__all__ = ["Problem", "ProblemCode", "json_response"]


class ProblemCode(StrEnum):
    """What went wrong, for programs; `detail` says it for people."""

    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    WRONG_HOST = "wrong_host"
    CROSS_SITE = "cross_site"
    NO_FILTER = "no_filter"
    BUSY = "busy"
    DISK = "disk"
    INTERNAL_ERROR = "internal_error"


class Problem(Exception):
    """Ends a request. errors: `{"field", "detail"}` of each part that is wrong."""

    def __init__(self, status: int, code: ProblemCode, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors or []

    def response(self, request_id: str) -> web.Response:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code.value,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        body["request_id"] = request_id
        return json_response(body, self.status, "application/problem+json")


def json_response(body: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    data = orjson.dumps(body, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    return web.Response(status=status, body=data, content_type=content_type, headers=headers)
