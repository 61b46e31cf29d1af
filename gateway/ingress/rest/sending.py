"""Calls that send items: a batch that is answered item by item, or an upload that is read line by line.

Place in the walk: behind the gate; cuts the body, reads and takes each item, waits for receipts, answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from decoders.errors import DecodeError
from decoders.json_text import read_json
from decoders.product import CompiledProduct
from gateway.domain.reading import Reading
from gateway.domain.topic_message import Item
from gateway.ingress.rest.answers import Answer, BatchAnswer, ItemError
from gateway.ingress.rest.bodies import Shape, Taken
from gateway.ingress.rest.body import Body, BodyLimits
from gateway.ingress.rest.charsets import Charset
from gateway.ingress.rest.csv_items import CsvItems
from gateway.ingress.rest.csv_records import CsvCutter
from gateway.ingress.rest.exchange import EXCHANGE
from gateway.ingress.rest.gate import Caller, Gate
from gateway.ingress.rest.groups import BatchOffer, LineOffer
from gateway.ingress.rest.idempotency import Claim, IdempotencyKeys, key_of, request_digest
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.items import Items, Sending
from gateway.ingress.rest.lines import Cutter, Line, LineCutter
from gateway.ingress.rest.media import Form, Media, bytes_of_text, empty_body
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.ingress.rest.routes import Route
from gateway.ingress.rest.uploads import Upload, UploadLimits
from gateway.observe.problems import Limit, Problem, ProblemCode

__all__ = ["LINE_FORMS", "Asked", "SendingCalls", "SendingLimits"]

LINE_FORMS = (Form.NDJSON, Form.CSV)

_TURN_ITEMS = 128
"""Items taken before others have their turn."""
_THREAD_BYTES = 512 * 1024
"""From here on JSON is read in a thread, so that others need not wait for all of it."""
_LINE_TOO_LONG = ItemError("too_large", "the line is longer than is taken", status=413)
_ITEM_TOO_LARGE = ItemError("too_large", "the item is larger than is taken", status=413)


@dataclass(slots=True, frozen=True)
class SendingLimits:
    """Settings of `rest` and of its listener, under the same names."""

    max_item_bytes: int = 1 << 20
    max_body_bytes: int = 8 << 20
    max_items: int = 50_000
    stream_from_bytes: int = 1 << 20
    max_upload_bytes: int = 4 << 30
    max_expansion_ratio: int = 200
    read_timeout_s: float = 20.0
    min_bytes_per_s: int = 256
    request_timeout_s: float = 30.0

    def batch(self) -> BodyLimits:
        return self._limits(self.max_body_bytes, "rest.max_body_bytes")

    def upload(self) -> BodyLimits:
        return self._limits(self.max_upload_bytes, "rest.max_upload_bytes")

    def _limits(self, max_bytes: int, name: str) -> BodyLimits:
        return BodyLimits(max_bytes, name, self.max_expansion_ratio, self.read_timeout_s, self.min_bytes_per_s)


@dataclass(slots=True)
class Asked:
    """What a request that sends items says beside its body. product: for CSV; None: none is named. delimiter: "" takes
    that of the first line. call: of the request, for its Idempotency-Key."""

    media: Media
    shape: Shape
    product: CompiledProduct | None = None
    delimiter: str = ""
    only_errors: bool = False
    call: str = ""
    keys: Sequence[str] = ()


@dataclass(slots=True)
class _Entry:
    """An item as it was cut from its body. document: JSON that was read; is_line: `raw` is JSON; item: a record of CSV;
    else `raw` is a frame. error, fault: why it is none."""

    raw: bytes
    document: Any = None
    is_document: bool = False
    is_line: bool = False
    item: Item | None = None
    error: ItemError | None = None
    fault: DecodeError | None = None


class SendingCalls:
    """Of one listener. now_ms: Unix ms. make_id: id of an uplink from its time of arrival."""

    def __init__(
        self,
        items: Items,
        gate: Gate,
        intake: Intake,
        keys: IdempotencyKeys,
        limits: SendingLimits,
        now_ms: Callable[[], int],
        make_id: Callable[[int], str],
    ) -> None:
        self._items = items
        self._gate = gate
        self._intake = intake
        self._keys = keys
        self._limits = limits
        self._of_batch, self._of_upload = limits.batch(), limits.upload()
        self._now_ms = now_ms
        self._make_id = make_id

    def is_streamed(self, request: web.Request, route: Route, media: Media) -> bool:
        """Whether the body is read line by line: it is of lines, and long, packed or of unknown length."""
        if not route.streams or media.form not in LINE_FORMS:
            return False
        headers = request.headers
        if "X-Signature" in headers or "Idempotency-Key" in headers:
            return False
        length = request.content_length
        return length is None or length > self._limits.stream_from_bytes or "Content-Encoding" in headers

    def body(self, request: web.Request, *, streamed: bool) -> Body:
        return Body(request, self._of_upload if streamed else self._of_batch)

    # A batch

    async def batch(self, request: web.Request, caller: Caller, body: Body, asked: Asked, sending: Sending) -> Answer:
        data = await body.whole()
        key = self._key(asked.keys)
        if not key:
            return await self._take_batch(request, caller, data, asked, sending, None)
        now_ms = self._now_ms()
        digest = request_digest(asked.call, data)
        found = self._keys.begin(caller.proven.caller, key, digest, self._make_id(now_ms), now_ms)
        if isinstance(found, Answer):
            caller.headers["Idempotency-Replayed"] = "true"
            return found
        with found as claim:
            return await self._take_batch(request, caller, data, asked, sending, claim)

    def _key(self, given: Sequence[str]) -> str:
        if not given:
            return ""
        if len(given) > 1:
            raise Problem(400, ProblemCode.BAD_KEY, "one Idempotency-Key was expected")
        return key_of(given[0])

    async def _take_batch(
        self,
        request: web.Request,
        caller: Caller,
        data: bytes,
        asked: Asked,
        sending: Sending,
        claim: Claim | None,
    ) -> Answer:
        exchange = request[EXCHANGE]
        entries = await self._entries(data, asked)
        if len(entries) > self._limits.max_items:
            detail = f"the body has {len(entries)} items, at most {self._limits.max_items} are taken"
            limit = Limit("rest.max_items", self._limits.max_items)
            raise Problem(413, ProblemCode.TOO_MANY_ITEMS, detail, limit=limit)
        exchange.items = len(entries)
        self._gate.take_items(caller, len(entries))
        answer = BatchAnswer(len(entries))
        offer = BatchOffer(answer, claim)
        if len(entries) > 1:
            offer.group = self._items.group(sending, offer.grouped)
        now_ms = self._now_ms()
        for index, entry in enumerate(entries):
            if index % _TURN_ITEMS == _TURN_ITEMS - 1:
                offer.flush()  # nobody would, were this request to end here
                await asyncio.sleep(0)
            if claim is not None and claim.is_kept(index):
                answer.keep(index, f"{claim.uplink_id(index)}-0")
                continue
            offer.index, offer.size = index, len(entry.raw)
            error = entry.error or self._take(entry, asked.shape, sending, offer, now_ms)
            if error is not None:
                answer.reject(index, error)
        offer.flush()
        await offer.receipts.settle(exchange.left_s())
        result = answer.answer(only_errors=asked.only_errors)
        if claim is not None and answer.final:
            claim.answered(result)
        return result

    def _take(
        self, entry: _Entry, shape: Shape, sending: Sending, offer: BatchOffer | LineOffer, now_ms: int
    ) -> ItemError | None:
        try:
            document = entry.document
            if shape.is_bare and shape.route is not None and (document.__class__ is dict or entry.is_line):
                message = sending.message(entry.raw, now_ms)
                uplink = self._items.read_usual(message, shape.route, document)
                if uplink is not None:
                    return self._items.take(sending, message, uplink, offer)
            taken = self._open(entry, shape, sending, now_ms)
        except DecodeError as error:
            return self._items.reject_unread(sending.listener, len(entry.raw), error)
        if taken is None:
            message = sending.message(entry.raw, now_ms)
            return self._items.take(sending, message, Reading(), offer)
        message, route, item = taken
        return self._items.take(sending, message, self._items.read(message, route, item), offer)

    def _open(self, entry: _Entry, shape: Shape, sending: Sending, now_ms: int) -> Taken | None:
        if entry.fault is not None:
            raise entry.fault
        if entry.item is not None:
            return sending.message(entry.raw, now_ms), shape.route, entry.item
        if entry.is_document:
            return shape.open(sending, entry.document, entry.raw, now_ms)
        if entry.is_line:
            return shape.open(sending, read_json(entry.raw), entry.raw, now_ms)
        assert shape.frame is not None
        return shape.frame(sending, entry.raw, now_ms)

    async def _entries(self, data: bytes, asked: Asked) -> list[_Entry]:
        media, form = asked.media, asked.media.form
        if not data:
            raise empty_body(media)
        if form is Form.JSON:
            return await self._of_json(data, media)
        if form is Form.NDJSON:
            cutter = LineCutter(self._limits.max_item_bytes)
            entries = [_of_line(line) for line in (*cutter.feed(data), *cutter.end())]
            if not entries:
                raise empty_body(media)
            return entries
        if form is Form.CSV:
            return self._of_csv(data, asked)
        frame = data if form is Form.OCTETS else bytes_of_text(data, form)
        if not frame:
            raise empty_body(media)
        self._check_size(len(frame))
        return [_Entry(frame)]

    async def _of_json(self, data: bytes, media: Media) -> list[_Entry]:
        if data.isspace():
            raise empty_body(media)
        try:
            document = read_json(data) if len(data) < _THREAD_BYTES else await asyncio.to_thread(read_json, data)
        except DecodeError as error:
            raise Problem(400, ProblemCode.NOT_JSON, error.detail + media.doubt) from None
        if document.__class__ is not list:
            self._check_size(len(data))
            return [_Entry(data, document, is_document=True)]
        entries, max_bytes = [], self._limits.max_item_bytes
        for item in document[: self._limits.max_items + 1]:
            raw = orjson.dumps(item)
            entries.append(_Entry(raw, item, True, error=_ITEM_TOO_LARGE if len(raw) > max_bytes else None))
        return entries

    def _check_size(self, size: int) -> None:
        limits = self._limits
        if size > limits.max_item_bytes:
            limit = Limit("rest.max_item_bytes", limits.max_item_bytes)
            detail = f"a single item has at most {limits.max_item_bytes} bytes"
            raise Problem(413, ProblemCode.TOO_LARGE, detail, limit=limit)

    def _of_csv(self, data: bytes, asked: Asked) -> list[_Entry]:
        lines = CsvLines(asked, self._limits.max_item_bytes)
        lines.charset.look_at(data)
        entries = []
        for line in (*lines.cutter.feed(data), *lines.cutter.end()):
            entry = lines.entry(line)
            if entry is not None:
                entries.append(entry)
        if not lines.has_header:
            raise empty_body(asked.media)
        return entries

    # An upload

    async def upload(self, request: web.Request, caller: Caller, body: Body, asked: Asked, sending: Sending) -> Answer:
        exchange = request[EXCHANGE]
        exchange.take_time()
        limits = self._limits
        table = CsvLines(asked, limits.max_item_bytes) if asked.media.form is Form.CSV else None
        cutter: Cutter = LineCutter(limits.max_item_bytes) if table is None else table.cutter

        def take(line: Line, _: Callable[[], ItemReceipt]) -> ItemError | None:
            entry = _of_line(line) if table is None else table.entry(line)
            if entry is None:
                return None
            exchange.items += 1
            self._gate.take_items(caller, 1)
            offer.index, offer.size = line.number, len(line.data)
            return entry.error or self._take(entry, asked.shape, sending, offer, self._now_ms())

        def flush() -> None:
            offer.flush()

        upload = Upload(cutter, take, self._intake, UploadLimits(settle_s=limits.request_timeout_s), flush)
        offer = LineOffer(upload.receipts)
        offer.group = self._items.group(sending, offer.grouped)
        answer = await upload.run(_looked_at(body.pieces(), table))
        if not exchange.items and (table is None or not table.has_header):
            raise empty_body(asked.media)
        return answer


class CsvLines:
    """The CSV of one body, on its way from bytes to items."""

    def __init__(self, asked: Asked, max_item_bytes: int) -> None:
        media = asked.media
        if media.header is False:
            detail = "a header row that names the columns is needed (`header=present`)"
            raise Problem(422, ProblemCode.BAD_HEADER, detail)
        self.charset = Charset(media.charset)
        self.cutter = CsvCutter(max_item_bytes, asked.delimiter or ("\t" if media.tabs else ""))
        self._items = CsvItems(asked.product, self.charset)
        self._shape = asked.shape

    @property
    def has_header(self) -> bool:
        return self._items.has_header

    def entry(self, line: Line) -> _Entry | None:
        """None for the header. Raises Problem for one that cannot be used."""
        if line.too_long:
            if not self.has_header:
                raise self._items.header_too_long()
            return _Entry(b"", error=_LINE_TOO_LONG)
        try:
            opened = self._items.open(line.data, self.cutter.delimiter)
        except DecodeError as error:
            return _Entry(line.data, fault=error)
        if opened is None:
            return None
        raw, item = opened
        return _Entry(raw, item=item) if isinstance(item, Item) else _Entry(raw, item, is_document=True)


def _of_line(line: Line) -> _Entry:
    return _Entry(line.data, is_line=True, error=_LINE_TOO_LONG if line.too_long else None)


async def _looked_at(pieces: AsyncGenerator[bytes, None], table: CsvLines | None) -> AsyncGenerator[bytes, None]:
    """The pieces of a body, of which the first one may say its charset."""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            if table is not None:
                table.charset.look_at(piece)
            yield piece
