"""What a batch is answered: every item in the order of the request, and one status for all.

Place in the walk: filled by the handler and by receipts as they settle, sent when all have or the deadline is there.
200: all items are kept. 207: some are, the items say which. 4xx or 503: none is, as a problem document with the same
members. `pending`: at the deadline nobody knows yet; what is sent again with its key or item ids adds nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

from decoders.errors import DecodeCode
from gateway.domain.errors import RefuseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.observe.problems import Problem, ProblemCode

__all__ = [
    "NOT_SETTLED",
    "Answer",
    "BatchAnswer",
    "ItemError",
    "ItemStatus",
    "answer_of",
    "error_of",
    "none_accepted",
    "reading_error",
    "refusal_error",
]

_RETRY_S = 2


class ItemStatus(StrEnum):
    """All but `rejected` and `pending` mean: it is kept, and need not be sent again."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    REJECTED = "rejected"
    PENDING = "pending"


@dataclass(slots=True, frozen=True)
class ItemError:
    """Why an item is not accepted.

    code: a DecodeCode, RefuseReason, DeadLetterReason, or one of the handler's own closed set. pointer: to the wrong
    part within the item (RFC 6901). status: of an answer that has only such items. retry: it may be taken when it comes
    again.
    """

    code: str
    message: str
    pointer: str = ""
    status: int = 422
    retry: bool = False

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.pointer:
            document["pointer"] = self.pointer
        if self.retry:
            document["retry"] = True
        return document


_REFUSALS = {
    RefuseReason.NOT_IDENTIFIED: ("no device is named, or its id is too long or not printable", 422),
    RefuseReason.UNKNOWN_DEVICE: ("the device is not known here", 403),
    RefuseReason.PROVISIONING_CLOSED: ("new devices are not taken", 403),
    RefuseReason.NOT_AUTHORIZED: ("not allowed for this client", 403),
    RefuseReason.WRONG_PRODUCT: ("the device is of another product", 403),
    RefuseReason.CERTIFICATE_NAMES_NOBODY: ("the client certificate names nobody", 403),
    RefuseReason.CERTIFICATE_DIFFERS: ("the client certificate does not speak for this device", 403),
    RefuseReason.OUTBOX_FULL: ("there is no room now", 503),
    RefuseReason.SINK_FAILED: ("it could not be stored", 503),
    RefuseReason.RATE_LIMITED: ("too many", 429),
    RefuseReason.REJECTED: ("a part of it cannot be taken", 422),
    RefuseReason.TOO_LARGE: ("its record is larger than a sink takes", 413),
}
_RETRIED = frozenset({429, 503})
_ACCEPTED, _KEPT = Outcome.ACCEPTED, ItemStatus.ACCEPTED
NOT_SETTLED = ItemError("not_settled", "not known at the deadline", status=503, retry=True)


def error_of(receipt: ItemReceipt) -> ItemError | None:
    """What a settled receipt says of its item; None: it is accepted, or a duplicate."""
    if receipt.outcome is Outcome.DEAD_LETTERED:
        told = f": {receipt.detail}" if receipt.detail else ""
        return ItemError(receipt.reason, f"kept as a dead letter{told}")
    if receipt.outcome is not Outcome.REFUSED:
        return None
    letter = receipt.letter
    if letter is not None:
        return reading_error(letter.reason, letter.detail, letter.field)
    return refusal_error(receipt.reason)


def refusal_error(reason: str) -> ItemError:
    """The error of an item that was refused for this RefuseReason."""
    text, status = "refused", 422
    if reason in _REFUSALS:
        text, status = _REFUSALS[RefuseReason(reason)]
    return ItemError(reason, text, status=status, retry=status in _RETRIED)


def reading_error(code: str, detail: str, field: str = "") -> ItemError:
    """The error of an item that nothing could be made of. code: a DecodeCode or DeadLetterReason. field: as
    `nodes[0].data.bin`."""
    if code == DecodeCode.WRONG_ANSWER.value:
        return ItemError(code, "an error of ours; the log says more", status=500)
    return ItemError(code, detail, _pointer(field), 400 if code == DecodeCode.BAD_DOCUMENT.value else 422)


def _pointer(field: str) -> str:
    """A place within an item as RFC 6901 writes it."""
    if not field:
        return ""
    steps = field.replace("[", ".").replace("]", "").split(".")
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass(slots=True, frozen=True)
class Answer:
    """An answer that may be given again. body: a JSON object, without the id of the request."""

    status: int
    body: bytes

    def response(self, request_id: str) -> web.Response:
        """request_id: of plain letters and digits, as `exchange` makes it; problem documents tell it."""
        headers = {"Cache-Control": "no-store"}
        body, content_type = self.body, "application/json"
        if self.status >= 400:
            body = b'%b,"request_id":"%b"}' % (body[:-1], request_id.encode())
            content_type = "application/problem+json"
            if self.status in _RETRIED:
                headers["Retry-After"] = str(_RETRY_S)
        return web.Response(status=self.status, body=body, content_type=content_type, headers=headers)


def answer_of(problem: Problem) -> Answer:
    return Answer(problem.status, orjson.dumps(problem.document()))


class BatchAnswer:
    """The items of one batch. Each is told once: by `reject`, by `keep`, or by `expect` and then its receipt."""

    __slots__ = ("_errors", "_record_ids", "_statuses")

    def __init__(self, items: int) -> None:
        self._statuses = [ItemStatus.PENDING] * items
        self._record_ids: list[str] = [""] * items
        self._errors: dict[int, ItemError] = {}

    @property
    def final(self) -> bool:
        """Whether sending it again could bring nothing else."""
        return ItemStatus.PENDING not in self._statuses and not any(error.retry for error in self._errors.values())

    def reject(self, index: int, error: ItemError) -> None:
        self._statuses[index] = ItemStatus.REJECTED
        self._errors[index] = error

    def keep(self, index: int, record_id: str) -> None:
        """It was accepted when it came for the first time."""
        self._statuses[index] = ItemStatus.ACCEPTED
        self._record_ids[index] = record_id

    def expect(self, index: int, record_id: str) -> None:
        """Its receipt will tell. record_id: of its first record, "" where it makes none."""
        self._record_ids[index] = record_id

    def settled(self, receipt: ItemReceipt) -> None:
        """Hears of a receipt (`receipts.OnItem`)."""
        for index in receipt.group or (receipt.index,):
            self._settled(index, receipt)

    def _settled(self, index: int, receipt: ItemReceipt) -> None:
        if receipt.outcome is _ACCEPTED:  # the member of an enum takes longer to look up than a name
            self._statuses[index] = _KEPT
            return
        error = error_of(receipt)
        if error is None:
            self._statuses[index] = ItemStatus.DUPLICATE
            return
        self._errors[index] = error
        kept = receipt.kept
        self._statuses[index] = ItemStatus.DEAD_LETTERED if kept else ItemStatus.REJECTED

    def answer(self, *, only_errors: bool = False) -> Answer:
        """As things stand now. only_errors: leaves out the items that are accepted or duplicates."""
        statuses = self._statuses
        pending = statuses.count(ItemStatus.PENDING)
        rejected = statuses.count(ItemStatus.REJECTED)
        accepted = len(statuses) - rejected - pending
        kept = _KEPT
        items = [
            {"index": index, "status": "accepted", "record_id": record_id}
            if status is kept and record_id
            else self._item(index, status)
            for index, (status, record_id) in enumerate(zip(statuses, self._record_ids, strict=True))
            if not only_errors or (status is not kept and status is not ItemStatus.DUPLICATE)
        ]
        counts = {"accepted": accepted, "rejected": rejected}
        if pending:
            counts["pending"] = pending
        document = {**counts, "items": items}
        if accepted or not statuses:
            return Answer(207 if pending or rejected else 200, orjson.dumps(document))
        errors = [NOT_SETTLED] if pending else []
        return answer_of(none_accepted([*errors, *self._errors.values()], document))

    def _item(self, index: int, status: ItemStatus) -> dict[str, Any]:
        """Of an item that has no record to name."""
        item: dict[str, Any] = {"index": index, "status": status.value}
        error = NOT_SETTLED if status is ItemStatus.PENDING else self._errors.get(index)
        if error is not None:
            item["error"] = error.document()
        return item


def none_accepted(errors: list[ItemError], members: dict[str, Any]) -> Problem:
    """The problem of a request of which nothing is kept. errors: of its items, at least one; members: of the answer."""
    statuses = {error.status for error in errors}
    first = next((error for error in errors if error.retry), errors[0])
    status = statuses.pop() if len(statuses) == 1 else 503 if first.retry else 422
    code = ProblemCode.NOT_SETTLED if first is NOT_SETTLED else ProblemCode.NOTHING_ACCEPTED
    detail = f"nothing was accepted; the first reason is {first.code}: {first.message}"
    return Problem(status, code, detail, more=members)
