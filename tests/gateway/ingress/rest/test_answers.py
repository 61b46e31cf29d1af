from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.domain.errors import RefuseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.rest.answers import Answer, BatchAnswer, ItemError, answer_of, error_of
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.observe.problems import Problem, ProblemCode

WRONG = ItemError("bad_value", "n is no number", pointer="/metrics/n")


def settle(batch: BatchAnswer, index: int, outcome: Outcome = Outcome.ACCEPTED, reason: str = "") -> None:
    batch.expect(index, f"u{index}-0")
    receipt = ItemReceipt(lambda _: None, index, 0)
    receipt.outcome, receipt.reason = outcome, reason
    batch.settled(receipt)


def read(answer: Answer) -> tuple[int, Any]:
    return answer.status, orjson.loads(answer.body)


def test_all_items_in_order() -> None:
    batch = BatchAnswer(3)
    settle(batch, 2)
    settle(batch, 0)
    batch.keep(1, "old-0")
    assert batch.final
    assert read(batch.answer()) == (
        200,
        {
            "accepted": 3,
            "rejected": 0,
            "items": [
                {"index": 0, "status": "accepted", "record_id": "u0-0"},
                {"index": 1, "status": "accepted", "record_id": "old-0"},
                {"index": 2, "status": "accepted", "record_id": "u2-0"},
            ],
        },
    )
    assert read(batch.answer(only_errors=True)) == (200, {"accepted": 3, "rejected": 0, "items": []})


def test_an_item_that_makes_no_record_has_no_id() -> None:
    batch = BatchAnswer(1)
    batch.keep(0, "")
    assert read(batch.answer())[1]["items"] == [{"index": 0, "status": "accepted"}]


def test_an_empty_batch_is_answered() -> None:
    assert read(BatchAnswer(0).answer()) == (200, {"accepted": 0, "rejected": 0, "items": []})


def test_a_mixed_batch() -> None:
    batch = BatchAnswer(5)
    settle(batch, 0)
    batch.reject(1, WRONG)
    settle(batch, 2, Outcome.DUPLICATE)
    settle(batch, 3, Outcome.DEAD_LETTERED, "bad_check")
    settle(batch, 4, Outcome.REFUSED, "wrong_product")
    assert batch.final
    status, document = read(batch.answer())
    assert (status, document["accepted"], document["rejected"]) == (207, 3, 2)
    assert [item["status"] for item in document["items"]] == [
        *("accepted", "rejected", "duplicate", "dead_lettered", "rejected")
    ]
    errors = [item["error"] for item in document["items"] if "error" in item]
    assert errors == [
        {"code": "bad_value", "message": "n is no number", "pointer": "/metrics/n"},
        {"code": "bad_check", "message": "kept as a dead letter"},
        {"code": "wrong_product", "message": "the device is of another product"},
    ]
    only = read(batch.answer(only_errors=True))[1]
    assert [item["index"] for item in only["items"]] == [1, 3, 4]
    assert (only["accepted"], only["rejected"]) == (3, 2)


def test_at_the_deadline_open_items_are_pending() -> None:
    batch = BatchAnswer(2)
    settle(batch, 0)
    batch.expect(1, "u1-0")
    assert not batch.final
    status, document = read(batch.answer())
    assert (status, document["accepted"], document["rejected"], document["pending"]) == (207, 1, 0, 1)
    error = {"code": "not_settled", "message": "not known at the deadline", "retry": True}
    assert document["items"][1] == {"index": 1, "status": "pending", "error": error}


def test_if_all_are_pending_nothing_says_yes() -> None:
    status, document = read(BatchAnswer(2).answer())
    assert (status, document["code"], document["pending"]) == (503, "not_settled", 2)
    assert [item["status"] for item in document["items"]] == ["pending", "pending"]


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([RefuseReason.WRONG_PRODUCT, RefuseReason.UNKNOWN_DEVICE], 403),
        ([RefuseReason.TOO_LARGE], 413),
        ([RefuseReason.TOO_LARGE, RefuseReason.NOT_AUTHORIZED], 422),
        ([RefuseReason.OUTBOX_FULL, RefuseReason.OUTBOX_FULL], 503),
        ([RefuseReason.RATE_LIMITED], 429),
        ([RefuseReason.RATE_LIMITED, RefuseReason.OUTBOX_FULL], 503),
        ([RefuseReason.WRONG_PRODUCT, RefuseReason.SINK_FAILED], 503),
    ],
)
def test_if_none_is_accepted_it_is_a_problem(reasons: list[RefuseReason], status: int) -> None:
    batch = BatchAnswer(len(reasons))
    for index, reason in enumerate(reasons):
        settle(batch, index, Outcome.REFUSED, reason.value)
    answer = batch.answer()
    assert answer.status == status
    assert batch.final is (status not in (429, 503))
    response = answer.response("r-1")
    assert response.content_type == "application/problem+json"
    assert ("Retry-After" in response.headers) is (status in (429, 503))
    assert isinstance(response.body, bytes)
    document = orjson.loads(response.body)
    assert (document["status"], document["code"]) == (status, "nothing_accepted")
    assert (document["accepted"], document["rejected"]) == (0, len(reasons))
    assert document["request_id"] == "r-1"
    assert [item["error"]["code"] for item in document["items"]] == [reason.value for reason in reasons]


def test_an_answer_can_be_given_again() -> None:
    answer = BatchAnswer(0).answer()
    first, again = answer.response("r-1"), answer.response("r-2")
    assert first.body == again.body == answer.body
    assert first.content_type == "application/json"


def test_a_problem_as_an_answer() -> None:
    response = answer_of(Problem(400, ProblemCode.NOT_JSON, "no")).response("r-9")
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body)["request_id"] == "r-9"


@pytest.mark.parametrize("reason", RefuseReason)
def test_every_refusal_has_its_words(reason: RefuseReason) -> None:
    receipt = ItemReceipt(lambda _: None, 0, 0)
    receipt.outcome, receipt.reason = Outcome.REFUSED, reason.value
    error = error_of(receipt)
    assert error is not None
    assert error.code == reason.value
    assert error.message != "refused"


def test_a_dead_letter_says_what_is_wrong() -> None:
    receipt = ItemReceipt(lambda _: None, 0, 0)
    receipt.outcome, receipt.reason, receipt.detail = Outcome.DEAD_LETTERED, "too_short", "7 of 8 bytes"
    assert error_of(receipt) == ItemError("too_short", "kept as a dead letter: 7 of 8 bytes")


def test_a_refusal_of_another_set_is_told_as_it_is() -> None:
    receipt = ItemReceipt(lambda _: None, 0, 0)
    receipt.outcome, receipt.reason = Outcome.REFUSED, "novel"
    assert error_of(receipt) == ItemError("novel", "refused")
