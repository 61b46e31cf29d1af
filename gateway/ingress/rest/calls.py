"""The handler of every call: parameters of the request, then whoever does the work.

Place in the walk: between aiohttp's router and gate, `sending` or `catalog_calls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from aiohttp import web

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeError
from decoders.json_text import read_json
from decoders.product import CompiledProduct
from decoders.spec.problems import nearest
from decoders.types import SessionContext
from gateway.ingress.rest.answers import Answer
from gateway.ingress.rest.bodies import Shape, Shapes
from gateway.ingress.rest.body import Body
from gateway.ingress.rest.catalog_calls import CatalogCalls, check_variant
from gateway.ingress.rest.csv_records import DELIMITERS
from gateway.ingress.rest.docs_page import PAGE_POLICY, page_bytes
from gateway.ingress.rest.exchange import EXCHANGE
from gateway.ingress.rest.gate import Caller, Gate
from gateway.ingress.rest.items import ItemSpeaker, Sending
from gateway.ingress.rest.media import Form, Media, bytes_of_text, empty_body, media_of
from gateway.ingress.rest.openapi import document_bytes
from gateway.ingress.rest.routes import RECORD_TYPES, ROUTES, Operation, Place, Route
from gateway.ingress.rest.sending import Asked, SendingCalls
from gateway.observe.problems import Problem, ProblemCode, json_response

__all__ = ["Calls"]

_MAX_NAME = 256
_MAX_COMPARED = 40
_NOTHING: Mapping[str, str] = {}
_PARAMETERS = {
    route.operation: tuple(one.name for one in route.parameters if one.place is Place.QUERY) for route in ROUTES
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Calls:
    """Of one listener. now_ms: Unix ms."""

    def __init__(
        self,
        listener: str,
        gate: Gate,
        shapes: Shapes,
        sending: SendingCalls,
        catalog: CatalogCalls,
        now_ms: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._gate = gate
        self._shapes = shapes
        self._sending = sending
        self._catalog = catalog
        self._now_ms = now_ms

    async def answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Raises Problem."""
        if route.item:
            return await self._with_body(route, request)
        caller = await self._gate.enter(request, route, path_client="", streamed=False)
        _check_query(request, route)
        if route.operation is Operation.GET_OPENAPI:
            response = web.Response(body=document_bytes(), content_type="application/json")
        elif route.operation is Operation.GET_DOCS:
            response = web.Response(body=page_bytes(), content_type="text/html", charset="utf-8")
            response.headers["Content-Security-Policy"] = PAGE_POLICY
        else:
            if caller.grant is None:  # signed, but there is no body that could prove it
                await self._gate.prove(request, route, caller, self._sending.body(request, streamed=False))
            grant = caller.proven
            if route.operation is Operation.LIST_SPECS:
                response = json_response(self._catalog.listed(grant))
            else:
                response = json_response(self._catalog.shown(grant, request.match_info["product"]))
        response.headers.update(caller.headers)
        return response

    async def _with_body(self, route: Route, request: web.Request) -> web.StreamResponse:
        client = request.match_info.get("client_id", "")
        media = _media_of(request.headers.get("Content-Type"), route.forms)
        streamed = self._sending.is_streamed(request, route, media)
        caller = await self._gate.enter(request, route, path_client=client, streamed=streamed)
        try:
            _check_query(request, route)
            body = self._sending.body(request, streamed=streamed)
            await self._gate.prove(request, route, caller, body)
            if route.operation is Operation.DECODE_FRAME:
                response = await self._decode(request, caller, body, media)
            else:
                answer = await self._send(route, request, caller, body, media, streamed=streamed)
                if answer.status in (429, 503):
                    caller.release()
                response = answer.response(request[EXCHANGE].request_id)
            if caller.headers:
                response.headers.update(caller.headers)
        except Problem as problem:
            if problem.status in (429, 503):
                caller.release()
            problem.headers = {**caller.headers, **problem.headers}
            raise
        return response

    # Items

    async def _send(
        self, route: Route, request: web.Request, caller: Caller, body: Body, media: Media, *, streamed: bool
    ) -> Answer:
        query = _query_of(request)
        shape, product = self._shape(route, request, query, caller)
        keys = request.headers.getall("Idempotency-Key", ())
        asked = Asked(
            media,
            shape,
            product,
            _delimiter(query),
            _word(query, "return", ("all", "errors")) == "errors",
            f"{request.method} {request.path_qs} {request.headers.get('Content-Type', '')}" if keys else "",
            keys,
        )
        wait = _word(query, "wait", ("spooled", "published"))
        grant, device_id = caller.proven, _name(query, "device_id")
        if device_id and grant.device_id and not grant.may_speak_for(device_id):
            raise Problem(403, ProblemCode.NOT_ALLOWED, "this caller has nothing of this device")
        sending = Sending(
            grant,
            ItemSpeaker.of(grant, device_id) if device_id else grant,
            self._listener,
            caller.peer,
            request[EXCHANGE].request_id,
            None if not wait else wait == "published",
        )
        take = self._sending.upload if streamed else self._sending.batch
        return await take(request, caller, body, asked, sending)

    def _shape(
        self, route: Route, request: web.Request, query: Mapping[str, str], caller: Caller
    ) -> tuple[Shape, CompiledProduct | None]:
        """How items are read, and the product that the request names."""
        shapes, grant = self._shapes, caller.proven
        if route.operation is Operation.SEND_FRAMES:
            loaded = self._catalog.find(grant, request.match_info["product"])
            variant = _name(query, "variant")
            check_variant(loaded, variant)
            return shapes.frames(loaded.product.id, variant, _port(query)), loaded.product
        name = _name(query, "product")
        product = self._catalog.find(grant, name, status=422).product if name else None
        if route.operation is Operation.SEND_TELEMETRY:
            return shapes.telemetry(name), product
        if route.operation is Operation.SEND_RECORDS:
            record = request.match_info["type"]
            if record not in RECORD_TYPES:
                detail = f"`{record[:64]}` is no type of records: one of {', '.join(RECORD_TYPES)} is"
                raise Problem(404, ProblemCode.NOT_FOUND, detail)
            return shapes.records(record, name), product
        if route.operation is Operation.SEND_HOME_ASSISTANT:
            return shapes.home_assistant(request.match_info["client_id"], name), product
        return shapes.bridge(name), product

    # A frame that is only looked at

    async def _decode(self, request: web.Request, caller: Caller, body: Body, media: Media) -> web.Response:
        loaded = self._catalog.find(caller.proven, request.match_info["product"])
        shape = self._shapes.frames(loaded.product.id, "", 0)
        data = await body.whole()
        if not data:
            raise empty_body(media)
        query = request.query
        device_id, variant, port = _name(query, "device_id"), _name(query, "variant"), _port(query)
        if media.form is Form.JSON:
            return json_response(self._decode_item(loaded, shape, caller, data))
        frame = data if media.form is Form.OCTETS else bytes_of_text(data, media.form)
        context = SessionContext(device_id, variant, port)
        return json_response(self._catalog.decoded(loaded, variant, frame, context, self._now_ms()))

    def _decode_item(self, loaded: LoadedProduct, shape: Shape, caller: Caller, data: bytes) -> Any:
        grant = caller.proven
        sending = Sending(grant, replace(grant), self._listener, caller.peer, "")
        try:
            taken = shape.open(sending, read_json(data), data, self._now_ms())
        except DecodeError as error:
            raise Problem(400, ProblemCode.BAD_REQUEST, error.detail) from None
        assert taken is not None
        message = taken[0]
        said = dict(message.properties)
        context = SessionContext(message.speaker.device_id, said.get("variant", ""), int(said.get("port", "0")))
        return self._catalog.decoded(loaded, context.variant, message.payload, context, self._now_ms())


@lru_cache(maxsize=512)
def _media_of(content_type: str | None, forms: tuple[Form, ...]) -> Media:
    return media_of(content_type, forms, forms[0])


def _query_of(request: web.Request) -> Mapping[str, str]:
    """Most requests have none, and to parse nothing takes its time too."""
    return request.query if request.query_string else _NOTHING


def _check_query(request: web.Request, route: Route) -> None:
    """A parameter that nobody reads is a slip of the pen: what it was to say would be lost."""
    if not request.query_string:
        return
    known, query = _PARAMETERS[route.operation], request.query
    for name in query:
        if name not in known:
            near = nearest(name[:_MAX_COMPARED], known)
            listed = ", ".join(f"`{one}`" for one in known) or "none"
            hint = f"did you mean `{near}`?" if near else f"there is {listed}"
            raise _bad(_shown(name), f"no such parameter ({hint})")
        if len(query.getall(name)) > 1:
            raise _bad(name, "it stands there twice")


def _shown(name: str) -> str:
    shown = name[:_MAX_COMPARED]
    return shown if shown.isprintable() else ascii(shown)


def _name(query: Mapping[str, str], parameter: str) -> str:
    value = query.get(parameter, "")
    if not value:
        return ""
    if len(value) > _MAX_NAME or _CONTROL.search(value):
        raise _bad(parameter, f"at most {_MAX_NAME} characters are expected, none of them for control")
    return value


def _word(query: Mapping[str, str], parameter: str, words: tuple[str, ...]) -> str:
    """ "" where it is not given."""
    value = query.get(parameter)
    if value is not None and value not in words:
        raise _bad(parameter, f"{' or '.join(words)} is expected")
    return value or ""


def _delimiter(query: Mapping[str, str]) -> str:
    value = query.get("delimiter")
    if value is None:
        return ""
    mark = "\t" if value == "tab" else value
    if mark not in DELIMITERS:
        raise _bad("delimiter", "one of `,` `;` `|` and `tab` is expected")
    return mark


def _port(query: Mapping[str, str]) -> int:
    value = query.get("port", "0")
    if not (value.isascii() and value.isdigit() and len(value) <= 3 and int(value) <= 255):
        raise _bad("port", "a number 0-255 is expected")
    return int(value)


def _bad(parameter: str, detail: str) -> Problem:
    return Problem(400, ProblemCode.BAD_PARAMETER, f"{parameter}: {detail}")
