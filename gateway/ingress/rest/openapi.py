"""The OpenAPI 3.1 document of the REST face: from the table of routes, the components and the examples.

Place in the walk: made once at the start and served as it is; `python -m gateway.ingress.rest.openapi` prints it.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import orjson

from gateway.access.scopes import Call
from gateway.ingress.rest.media import TYPES, Form
from gateway.ingress.rest.openapi_examples import (
    BATCH_ANSWERS,
    CALLS,
    PROBLEMS,
    UPLOAD_ANSWERS,
    BodyExample,
    CallExamples,
)
from gateway.ingress.rest.openapi_schemas import component, components
from gateway.ingress.rest.routes import HEADERS, ROUTES, Answered, Parameter, Place, Route

__all__ = ["API_VERSION", "document", "document_bytes"]

API_VERSION = "1.0.0"
"""Of the contract, not of the program: it changes with the document."""

Json = dict[str, Any]

_INTRODUCTION = """\
Programs push data of devices: measured values, records, binary frames, webhooks. A `200` says that every item is safe \
on the gateway's disk, and what it says of an item holds: whatever is not answered as kept is sent again.

**Who calls.** An API key or a token as `Authorization: Bearer`, an API key as `X-Api-Key`, a signature, or a client \
certificate; never two of them. `iotlink keys create` makes API keys. A gateway may also let anybody in \
(`auth.anonymous_rest`).

**Signatures** are for senders that share a secret: `X-Client-Id`, `X-Timestamp` (Unix seconds, at most 300 s from \
now) and `X-Signature: sha256=<hex>`, the HMAC-SHA256 of `<timestamp>.<body>`, the body as it is sent. A signature \
counts once. A signed body is read whole (`rest.max_body_bytes`).

**Batches** are answered item by item, in order: 200 when all are kept, 207 when some are, and as a problem when none \
is. An `Idempotency-Key` makes it safe to send a request again: the same answer comes back, and nothing is recorded \
twice. `trace_id` does the same for one item.

**Bodies** may be packed (`Content-Encoding: gzip` or `zstd`). NDJSON and CSV may have any length; long ones are read \
line by line and answered with counts and the first 1,000 errors. In JSON an integer has at most 64 bits, no key \
stands twice, and nothing nests deeper than 32 levels.

**Errors** are problem documents (RFC 9457) with a `code` for programs and the `request_id` that the gateway's log \
has. 429 and 503 say in `Retry-After` when to come again, and in `limit` what stands against it now.
"""

_SECURITY_SCHEMES: Json = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "iotlink_<id>_<secret>",
        "description": "An API key.",
    },
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "An API key."},
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token (RS256, ES256) of an issuer that the gateway knows.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "`sha256=` and the HMAC-SHA256 of `<timestamp>.<body>` as hexadecimal digits.",
    },
    "signatureClient": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Client-Id",
        "description": "Whose secret a signature was made with.",
    },
    "signatureTime": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Timestamp",
        "description": "When a signature was made: Unix seconds.",
    },
    "certificate": {"type": "mutualTLS", "description": "A client certificate, where the listener asks for one."},
}
_PROVEN: list[Json] = [{"apiKey": []}, {"apiKeyHeader": []}, {"token": []}, {"certificate": []}]
_SIGNED: Json = {"signature": [], "signatureClient": [], "signatureTime": []}

_WHOLE = {"type": "integer", "minimum": 0}
_REQUEST_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}
_RESPONSE_HEADERS: Json = {
    "X-Request-Id": {"description": "As it was sent, else made here.", "required": True, "schema": _REQUEST_ID},
    "Retry-After": {"description": "Seconds until it makes sense to try again.", "schema": _WHOLE},
    "Idempotency-Replayed": {
        "description": "`true`: the answer that the first request with this key got.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RateLimit-Limit": {"description": "Of the quota that is nearest to its end: what it allows.", "schema": _WHOLE},
    "RateLimit-Remaining": {"description": "What is left of that quota.", "schema": _WHOLE},
    "RateLimit-Reset": {"description": "Seconds until all of that quota is there again.", "schema": _WHOLE},
    "WWW-Authenticate": {"description": "How to prove who calls (RFC 6750).", "schema": {"type": "string"}},
    "Accept": {"description": "Media types that are taken.", "schema": {"type": "string"}},
}
_RATE_LIMIT = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

_PROBLEM_TEXTS = {
    400: "The request cannot be read.",
    401: "Who calls is not proven.",
    403: "Not for this caller.",
    404: "There is no such thing, or not for this caller.",
    408: "The body came too slowly.",
    409: "The same request is under way.",
    413: "More than is taken; `limit` says how much is.",
    415: "Neither a media type, charset nor encoding that is taken.",
    421: "Without credentials: the Host header names another machine.",
    422: "No item is right; `items` or `errors` say why. Or the Idempotency-Key was used with another request.",
    429: "More than the caller may send; `limit` says what of.",
    500: "An error of ours.",
    503: "Nothing can be kept now; `limit` says why.",
}
_PROBLEM_HEADERS = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    415: ("Accept",),
    429: ("Retry-After", *_RATE_LIMIT),
    503: ("Retry-After",),
}

_OBJECT_ANSWERS = {Answered.DECODED: "Decoded", Answered.SPEC: "Spec", Answered.SPEC_LIST: "SpecList"}


@cache
def document() -> Json:
    """The document. Whoever has it changes nothing of it."""
    paths: dict[str, Json] = {}
    for route in ROUTES:
        for number, template in enumerate((route.template, *route.also)):
            paths.setdefault(template, {})[route.method.lower()] = _operation(route, number)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "IoT-Link Gateway",
            "version": API_VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This gateway."}],
        "tags": [
            {"name": "ingest", "description": "Data on its way in."},
            {"name": "catalog", "description": "What the gateway knows of products."},
            {"name": "api", "description": "The API itself."},
        ],
        "paths": paths,
        "components": {
            "schemas": components(),
            "headers": _RESPONSE_HEADERS,
            "responses": {_problem_name(status): _problem(status) for status in _PROBLEM_TEXTS},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


@cache
def document_bytes() -> bytes:
    """The same as it is served."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _operation(route: Route, number: int) -> Json:
    """number: 0 for the call itself, from 1 for its other paths."""
    examples = CALLS.get(route.operation, CallExamples())
    operation: Json = {
        "operationId": route.operation.value + ("Unversioned" if number else ""),
        "summary": route.summary,
        "description": route.text if not number else f"The same as `{route.template}`. {route.text}",
        "tags": [_tag(route)],
        "security": [],
    }
    if route.right is not None:
        operation["security"] = [*_PROVEN, *([_SIGNED] if route.right is Call.INGEST else [])]
    given = (*route.parameters, *(HEADERS if route.answered is Answered.BATCH else HEADERS[1:]))
    operation["parameters"] = [_parameter(parameter, examples) for parameter in given]
    if route.forms:
        operation["requestBody"] = _body(route, examples)
    operation["responses"] = {str(status): answer for status, answer in _responses(route, examples).items()}
    return operation


def _tag(route: Route) -> str:
    if route.right is None:
        return "api"
    return "ingest" if route.right is Call.INGEST else "catalog"


def _parameter(parameter: Parameter, examples: CallExamples) -> Json:
    described: Json = {"name": parameter.name, "in": parameter.place.value}
    if parameter.place is Place.PATH:
        described["required"] = True
    described |= {"description": parameter.text, "schema": dict(parameter.schema)}
    if parameter.name in examples.parameters:
        described["example"] = examples.parameters[parameter.name]
    return described


def _body(route: Route, examples: CallExamples) -> Json:
    content: Json = {}
    for form in route.forms:
        media: Json = {"schema": _body_schema(form, route)}
        found = {example.name: _shown(example) for example in examples.bodies if example.form is form}
        if found:
            media["examples"] = found
        content[TYPES[form][0]] = media
    return {"required": True, "content": content}


def _body_schema(form: Form, route: Route) -> Json:
    match form:
        case Form.JSON:
            one = component(route.item)
            return {"oneOf": [one, {"type": "array", "items": one}]} if route.answered is Answered.BATCH else one
        case Form.NDJSON:
            return {"type": "string", "description": f"On each line one {route.item} as JSON."}
        case Form.CSV:
            return {"type": "string", "description": "A row of column names, then rows of values (RFC 4180)."}
        case Form.OCTETS:
            return {"type": "string", "format": "binary", "minLength": 1, "description": "The bytes of one frame."}
        case Form.HEX:
            return {"type": "string", "description": "One frame as hexadecimal digits."}
        case Form.BASE64:
            return {"type": "string", "description": "One frame as base64."}
        case Form.TEXT:
            return {"type": "string", "description": "One frame as hexadecimal digits, if it can be, else as base64."}


def _shown(example: BodyExample) -> Json:
    return {"summary": example.summary, "value": example.value}


def _responses(route: Route, examples: CallExamples) -> dict[int, Json]:
    answers: dict[int, Json] = {}
    match route.answered:
        case Answered.BATCH:
            answers[200] = _batch(route, 200, "All items are kept.")
            answers[207] = _batch(route, 207, "Some items are kept, others not, or not yet.")
        case Answered.PAGE:
            content = {"text/html": {"schema": {"type": "string"}}}
            answers[200] = {"description": "The page.", "headers": _headers(), "content": content}
        case Answered.OPENAPI:
            content = {"application/json": {"schema": {"type": "object"}}}
            answers[200] = {"description": "The document.", "headers": _headers(), "content": content}
        case other:
            media: Json = {"schema": component(_OBJECT_ANSWERS[other])}
            if examples.answer is not None:
                media["example"] = examples.answer
            content = {"application/json": media}
            answers[200] = {"description": "As asked.", "headers": _headers(*_RATE_LIMIT), "content": content}
    for status in _problems_of(route):
        answers[status] = {"$ref": f"#/components/responses/{_problem_name(status)}"}
    return answers


def _batch(route: Route, status: int, text: str) -> Json:
    media: Json = {"schema": component("BatchAnswer")}
    shown = {"items": {"summary": "Of a batch", "value": BATCH_ANSWERS[status]}}
    if route.streams:
        media = {"schema": {"oneOf": [media["schema"], component("UploadAnswer")]}}
        shown["lines"] = {"summary": "Of a body that is read line by line", "value": UPLOAD_ANSWERS[status]}
    media["examples"] = shown
    return {
        "description": text,
        "headers": _headers("Idempotency-Replayed", *_RATE_LIMIT),
        "content": {"application/json": media},
    }


def _problems_of(route: Route) -> list[int]:
    if route.right is None:
        return [400, 429, 500]
    statuses = {400, 401, 403, 421, 429, 500, 503}
    if any(parameter.place is Place.PATH for parameter in route.parameters):
        statuses.add(404)
    if route.forms:
        statuses |= {408, 413, 415, 422}
    if route.answered is Answered.BATCH:
        statuses |= {409}
    return sorted(statuses)


def _problem(status: int) -> Json:
    return {
        "description": _PROBLEM_TEXTS[status],
        "headers": _headers(*_PROBLEM_HEADERS.get(status, ())),
        "content": {"application/problem+json": {"schema": component("Problem"), "example": PROBLEMS[status]}},
    }


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


if __name__ == "__main__":
    sys.stdout.buffer.write(document_bytes())
