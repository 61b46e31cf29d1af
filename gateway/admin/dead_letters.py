"""The dead letters in the operations API: list, look at, replay and purge them.

`GET /v1/dead-letters`, `GET /v1/dead-letters/{id}`, `POST /v1/dead-letters:replay`, `POST /v1/dead-letters:purge`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from gateway.admin.replay import MAX_LETTERS, Replayer, WorkedOnElsewhere
from gateway.delivery.dead_letter_lines import LetterFilter, Line, rfc3339_ms
from gateway.delivery.dead_letter_pages import Cursor, Found
from gateway.observe.audit import audit_run
from gateway.observe.problems import Problem, ProblemCode, json_response

__all__ = ["DeadLetterRoutes", "letter_filter", "summary", "whole"]

_MAX_IDS = 1_000
_AUDITED_IDS = 20
_DEFAULT_ROWS = 100
_DEFAULT_LETTERS = 1_000
_TEXTS = ("product", "reason", "device", "stage")
_TIMES = ("since", "until")
_SUMMARY = (
    *("received_at", "reason", "stage", "detail", "product", "device_id", "tenant", "message", "spec_version"),
    *("attempts", "listener", "sink", "stored_at"),
)


class DeadLetterRoutes:
    """Handlers over one gateway's letters."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer
        self._store = replayer.store

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v1/dead-letters", self._list)
        router.add_get("/v1/dead-letters/{id}", self._show)
        router.add_post("/v1/dead-letters:replay", self._replay)
        router.add_post("/v1/dead-letters:purge", self._purge)

    async def _list(self, request: web.Request) -> web.Response:
        query: dict[str, Any] = dict(request.query)
        limit = query.pop("limit", None)
        if "id" in query:
            query["ids"] = request.query.getall("id")
        wanted, options = _request(query, {"id", "cursor"})
        page = await self._store.page(wanted, _cursor(options), _limit(limit, _DEFAULT_ROWS))
        return json_response(
            {
                "items": [summary(found) for found in page.letters],
                "next": str(page.cursor) if page.cursor else None,
                "directory": str(self._store.directory),
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        page = await self._store.page(LetterFilter(keys=frozenset({key})), Cursor(), 1)
        if not page.letters:
            raise Problem(404, ProblemCode.NOT_FOUND, f"no dead letter `{key[:100]}`")
        return json_response(whole(page.letters[0]))

    async def _replay(self, request: web.Request) -> web.Response:
        wanted, options = _request(await _body(request), {"cursor", "limit", "dry_run"})
        dry_run = _flag(options, "dry_run")
        cursor, limit = _cursor(options), _limit(options.get("limit"), _DEFAULT_LETTERS)
        with _told("dead_letters.replay", request, wanted, dry_run=dry_run):
            report = await self._replayer.replay(wanted, cursor, limit, dry_run=dry_run)
        answer = dataclasses.asdict(report)
        if not dry_run:
            counts = {name: value for name, value in answer.items() if isinstance(value, int) and name != "dry_run"}
            _audit("dead_letters.replay", request, wanted, counts | {"problem": report.problem})
        return json_response(answer)

    async def _purge(self, request: web.Request) -> web.Response:
        wanted, options = _request(await _body(request), {"dry_run", "all"})
        if wanted.means_all and not _flag(options, "all"):
            detail = "nothing says which letters: give a filter, or `all: true`"
            raise Problem(400, ProblemCode.NO_FILTER, detail)
        dry_run = _flag(options, "dry_run")
        with _told("dead_letters.purge", request, wanted, dry_run=dry_run):
            reasons = await self._replayer.purge(wanted, dry_run=dry_run)
        if not dry_run:
            _audit("dead_letters.purge", request, wanted, {"purged": sum(reasons.values()), "reasons": reasons})
        return json_response({"purged": sum(reasons.values()), "reasons": reasons, "dry_run": dry_run})


def summary(found: Found) -> Line:
    """A letter as a row of a list."""
    line = found.line
    row = {"id": found.key} | {name: line.get(name) for name in _SUMMARY if line.get(name) is not None}
    raw = line.get("raw_hex")
    return row | {"bytes": len(raw) // 2 if isinstance(raw, str) else 0}


def whole(found: Found) -> Line:
    """All that is known of a letter."""
    return {"id": found.key, **found.line}


def letter_filter(given: Mapping[str, Any]) -> LetterFilter:
    """The filter that these keys say. Raises Problem (bad_request) that names each one that is wrong."""
    errors: list[dict[str, str]] = []
    values: dict[str, Any] = {}
    for name in _TEXTS:
        value = given.get(name)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= 512):
            errors.append({"field": name, "detail": "a text is expected"})
        elif value is not None:
            values[name] = value
    for name in _TIMES:
        value = given.get(name)
        if value is None:
            continue
        try:
            values[name] = _time(value)
        except (TypeError, ValueError, OverflowError):
            errors.append({"field": name, "detail": "a time is expected, such as 2026-03-01T00:00:00Z or 2026-03-01"})
    ids = given.get("ids")
    if ids is not None:
        if not isinstance(ids, list) or not 1 <= len(ids) <= _MAX_IDS or not all(isinstance(item, str) for item in ids):
            errors.append({"field": "ids", "detail": f"a list of 1 to {_MAX_IDS} ids is expected"})
        else:
            values["keys"] = frozenset(ids)
    if errors:
        detail = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
        raise Problem(400, ProblemCode.BAD_REQUEST, detail, errors)
    return LetterFilter(**values)


def _request(given: Mapping[str, Any], options: set[str]) -> tuple[LetterFilter, dict[str, Any]]:
    """The filter, and what else a request says. A key that means nothing is an error: a filter must not be lost."""
    known = {*_TEXTS, *_TIMES, "ids", *options}
    errors = [{"field": str(name), "detail": "unknown"} for name in given if name not in known]
    if errors:
        detail = f"unknown: {', '.join(error['field'] for error in errors)}; known are {', '.join(sorted(known))}"
        raise Problem(400, ProblemCode.BAD_REQUEST, detail, errors)
    return letter_filter(given), {name: given[name] for name in options if name in given}


async def _body(request: web.Request) -> Mapping[str, Any]:
    data = await request.read()
    try:
        body = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError as error:
        raise Problem(400, ProblemCode.NOT_JSON, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, ProblemCode.NOT_JSON, "the body must be a JSON object")
    return body


def _cursor(options: Mapping[str, Any]) -> Cursor:
    text = options.get("cursor")
    if not text:
        return Cursor()
    try:
        return Cursor.parse(str(text))
    except ValueError:
        raise Problem(400, ProblemCode.BAD_REQUEST, "cursor: take it as an earlier answer gave it") from None


def _limit(value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_LETTERS:
        raise Problem(400, ProblemCode.BAD_REQUEST, f"limit: 1 to {MAX_LETTERS} is expected")
    return value


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise Problem(400, ProblemCode.BAD_REQUEST, f"{name}: true or false is expected")
    return value


def _time(value: Any) -> str:
    """A moment in the form in which letters hold theirs; without a zone it is UTC."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return rfc3339_ms(int(moment.timestamp() * 1000))


@contextlib.contextmanager
def _told(action: str, request: web.Request, wanted: LetterFilter, *, dry_run: bool) -> Iterator[None]:
    """Around work that may end with an error, when some of it is done: that has an audit line as well."""
    try:
        yield
    except WorkedOnElsewhere as error:
        raise Problem(409, ProblemCode.BUSY, str(error)) from None
    except OSError as error:
        if not dry_run:
            _audit(action, request, wanted, {"problem": error.strerror or str(error)})
        raise


def _audit(action: str, request: web.Request, wanted: LetterFilter, result: Mapping[str, Any]) -> None:
    selected: dict[str, Any] = {name: value for name in (*_TEXTS, *_TIMES) if (value := getattr(wanted, name))}
    if wanted.keys:
        ids = sorted(wanted.keys)
        selected["ids"] = ids[:_AUDITED_IDS]
        if len(ids) > _AUDITED_IDS:
            selected["more_ids"] = len(ids) - _AUDITED_IDS
    audit_run(f"local:{request.remote}", action, "dead_letters", selected=selected, result=result)
