from __future__ import annotations

import struct
import uuid

import pytest

from gateway.domain.receipt import Outcome
from gateway.domain.state import State, StateKind
from gateway.ingress.rest.answers import Answer
from gateway.ingress.rest.idempotency import Claim, IdempotencyKeys, IdempotencyLimits, key_of, request_digest
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.observe.problems import Problem, ProblemCode

NOW_MS = 1_772_323_200_000
DAY_MS = 86_400_000
BASE = "019ca6b1-dc00-7abc-8def-0123fffffffe"
BODY = request_digest("POST /v1/telemetry", b"[]")
OTHER = request_digest("POST /v1/telemetry", b"[1]")
ANSWER = Answer(200, b'{"accepted":1}')


def begin(
    keys: IdempotencyKeys, key: str = "k", request: bytes = BODY, *, client: str = "erp", now_ms: int = NOW_MS
) -> Claim:
    claim = keys.begin(client, key, request, BASE, now_ms)
    assert isinstance(claim, Claim)
    return claim


def settle(claim: Claim, index: int, outcome: Outcome = Outcome.ACCEPTED) -> State:
    state = claim.state(index)
    finish(claim, index, outcome)
    return state


def finish(claim: Claim, index: int, outcome: Outcome = Outcome.ACCEPTED) -> None:
    receipt = ItemReceipt(lambda _: None, index, 0)
    receipt.outcome = outcome
    claim.settled(receipt)


def kept(claim: Claim, items: int = 20) -> list[int]:
    return [index for index in range(items) if claim.is_kept(index)]


def finished(keys: IdempotencyKeys, key: str = "k", *, items: int = 1, now_ms: int = NOW_MS) -> list[State]:
    with begin(keys, key, now_ms=now_ms) as claim:
        return [settle(claim, index) for index in range(items)]


def restarted(keys: IdempotencyKeys, states: list[State] | None = None, **limits: int) -> IdempotencyKeys:
    new = IdempotencyKeys(IdempotencyLimits(**limits))
    for payload in keys.snapshot():
        new.restore(payload)
    for state in states or []:
        assert state.kind is StateKind.IDEMPOTENCY
        new.restore(state.payload)
    return new


@pytest.fixture
def keys() -> IdempotencyKeys:
    return IdempotencyKeys(IdempotencyLimits())


def refusal(keys: IdempotencyKeys, key: str = "k", request: bytes = BODY) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        begin(keys, key, request)
    return caught.value.status, caught.value.code


def test_items_that_go_together_have_one_state(keys: IdempotencyKeys) -> None:
    indexes = [0, 1, 2, 5, 7, 8]
    with begin(keys) as claim:
        state = claim.state_of_group(indexes)
        receipt = ItemReceipt(lambda _: None, 0, 0)
        receipt.group, receipt.outcome = indexes, Outcome.ACCEPTED
        claim.settled(receipt)
    for found in (keys, restarted(keys), restarted(IdempotencyKeys(IdempotencyLimits()), [state])):
        assert kept(begin(found)) == indexes


def test_a_group_that_was_refused_is_not_kept(keys: IdempotencyKeys) -> None:
    with begin(keys) as claim:
        claim.state_of_group([0, 1])
        settle(claim, 2)
        receipt = ItemReceipt(lambda _: None, 0, 0)
        receipt.group, receipt.outcome = [0, 1], Outcome.REFUSED
        claim.settled(receipt)
    assert kept(begin(keys)) == [2]


def test_the_same_again_gets_the_same_answer(keys: IdempotencyKeys) -> None:
    with begin(keys) as claim:
        settle(claim, 0)
        claim.answered(ANSWER)
    assert keys.begin("erp", "k", BODY, BASE, NOW_MS + DAY_MS) is ANSWER
    assert refusal(keys, request=OTHER) == (422, ProblemCode.KEY_REUSED)


def test_an_answer_without_kept_items_is_given_again_too(keys: IdempotencyKeys) -> None:
    with begin(keys) as claim:
        claim.answered(ANSWER)
    assert keys.begin("erp", "k", BODY, BASE, NOW_MS) is ANSWER
    assert list(keys.snapshot()) == []


def test_while_it_is_under_way_the_same_again_is_a_conflict(keys: IdempotencyKeys) -> None:
    with begin(keys):
        assert refusal(keys) == (409, ProblemCode.KEY_IN_PROGRESS)
        assert refusal(keys, request=OTHER) == (422, ProblemCode.KEY_REUSED)
    begin(keys, request=OTHER)  # nothing was kept


def test_keys_belong_to_clients(keys: IdempotencyKeys) -> None:
    begin(keys, client="a")
    begin(keys, client="b")
    begin(keys, client="a", key="k2")
    assert keys.keys == 3


def test_it_is_under_way_until_every_receipt_has_settled(keys: IdempotencyKeys) -> None:
    with begin(keys) as claim:
        claim.state(0)
        claim.state(1)
    finish(claim, 1)
    assert refusal(keys)[0] == 409
    finish(claim, 0, Outcome.REFUSED)
    assert kept(begin(keys)) == [1]


def test_a_request_that_failed_leaves_its_key_free(keys: IdempotencyKeys) -> None:
    with pytest.raises(RuntimeError), begin(keys):
        raise RuntimeError
    assert (keys.keys, keys.bytes) == (0, 0)
    begin(keys, request=OTHER)


@pytest.mark.parametrize(
    ("outcome", "is_kept"),
    [(Outcome.ACCEPTED, True), (Outcome.DEAD_LETTERED, True), (Outcome.DUPLICATE, False), (Outcome.REFUSED, False)],
)
def test_what_counts_as_kept(keys: IdempotencyKeys, outcome: Outcome, is_kept: bool) -> None:
    with begin(keys) as claim:
        settle(claim, 3, outcome)
    assert kept(begin(keys)) == ([3] if is_kept else [])


def test_ids_are_the_same_whenever_the_batch_comes_again(keys: IdempotencyKeys) -> None:
    states = finished(keys, items=3)
    claim = begin(keys)
    ids = [claim.uplink_id(index) for index in range(4)]
    assert ids == [
        BASE,
        BASE[:-1] + "f",
        "019ca6b1-dc00-7abc-8def-012300000000",
        "019ca6b1-dc00-7abc-8def-012300000001",
    ]
    assert all(uuid.UUID(one).version == 7 for one in ids)
    after = restarted(IdempotencyKeys(IdempotencyLimits()), states).begin(
        "erp", "k", BODY, "019ca6b1-dc00-7000-8000-000000000000", NOW_MS
    )
    assert isinstance(after, Claim)
    assert [after.uplink_id(index) for index in range(4)] == ids


def test_after_a_kill_items_whose_commit_was_done_are_known(keys: IdempotencyKeys) -> None:
    claim = begin(keys)
    states = [claim.state(index) for index in (0, 1, 2, 5)]
    new = restarted(keys, [states[0], states[3]])
    again = begin(new)
    assert kept(again) == [0, 5]
    assert refusal(new, request=OTHER) == (422, ProblemCode.KEY_REUSED)


def test_a_snapshot_has_what_is_kept_and_nothing_that_is_only_under_way(keys: IdempotencyKeys) -> None:
    claim = begin(keys)
    for index in (0, 1, 2, 7):
        settle(claim, index)
    claim.state(3)
    finished(keys, "done", items=2)
    new = restarted(keys)
    assert kept(begin(new)) == [0, 1, 2, 7]
    assert kept(begin(new, "done")) == [0, 1]
    assert keys.bytes == restarted(keys).bytes


def test_what_was_restored_twice_counts_once(keys: IdempotencyKeys) -> None:
    states = finished(keys, items=3)
    new = restarted(keys, states + states)
    assert (new.keys, new.bytes) == (keys.keys, keys.bytes)


def test_many_ranges_are_cut_into_payloads_that_the_spool_takes(keys: IdempotencyKeys) -> None:
    claim = begin(keys)
    for index in range(0, 40_000, 2):
        settle(claim, index)
    payloads = list(keys.snapshot())
    assert len(payloads) == 3
    assert max(map(len, payloads)) < 100_000
    new = begin(restarted(keys))
    assert all(new.is_kept(index) is (index % 2 == 0) for index in range(40_000))


def test_a_key_may_be_used_anew_after_its_time(keys: IdempotencyKeys) -> None:
    old = finished(keys, items=2)
    with begin(keys, request=OTHER, now_ms=NOW_MS + DAY_MS + 1) as claim:
        new = [settle(claim, 1)]
    again = restarted(IdempotencyKeys(IdempotencyLimits()), old + new)
    assert kept(begin(again, request=OTHER, now_ms=NOW_MS + DAY_MS + 1)) == [1]


def test_another_version_is_not_read(keys: IdempotencyKeys) -> None:
    state = finished(keys)[0]
    new = IdempotencyKeys(IdempotencyLimits())
    new.restore(b"\x02" + state.payload[1:])
    new.restore(b"")
    assert new.keys == 0
    with pytest.raises(struct.error):
        new.restore(state.payload[:20])


def test_the_oldest_give_way(keys: IdempotencyKeys) -> None:
    keys = IdempotencyKeys(IdempotencyLimits(max_keys=3))
    first = begin(keys, "0")
    for n in range(1, 5):
        finished(keys, str(n))
    assert (keys.keys, keys.evicted) == (3, 2)
    assert refusal(keys, "0")[0] == 409  # it is under way
    assert kept(begin(keys, "4")) == [0]
    with first:
        pass


def test_bytes_are_bounded() -> None:
    keys = IdempotencyKeys(IdempotencyLimits(max_bytes=10_000, max_answer_bytes=4_000))
    for n in range(50):
        with begin(keys, str(n)) as claim:
            settle(claim, 0)
            claim.answered(Answer(200, b"x" * 4_000))
        assert keys.bytes <= 10_000
    assert keys.keys == 2
    with begin(keys, "large") as claim:
        settle(claim, 0)
        claim.answered(Answer(200, b"x" * 4_001))
    assert kept(begin(keys, "large")) == [0]  # its answer is made anew


def test_only_keys_under_way_are_no_room() -> None:
    keys = IdempotencyKeys(IdempotencyLimits(max_keys=2))
    with begin(keys, "a"), begin(keys, "b"):
        assert refusal(keys, "c") == (503, ProblemCode.TOO_MANY_KEYS)
    begin(keys, "c")


def test_old_keys_are_forgotten_a_few_at_a_time(keys: IdempotencyKeys) -> None:
    """So that a clock that jumps and comes back costs few."""
    for n in range(10):
        finished(keys, str(n))
    begin(keys, "new", now_ms=NOW_MS + 2 * DAY_MS)
    assert keys.keys == 9
    assert kept(begin(keys, "5")) == [0]
    assert keys.evicted == 0


def test_restoring_is_bounded_too(keys: IdempotencyKeys) -> None:
    for n in range(10):
        finished(keys, str(n))
    assert restarted(keys, max_keys=4).keys == 4


@pytest.mark.parametrize(
    ("header", "key"), [(" abc ", "abc"), ('"8e03978e-40d5"', "8e03978e-40d5"), ("a b", "a b"), ('"', '"')]
)
def test_keys_that_are_taken(header: str, key: str) -> None:
    assert key_of(header) == key
    assert key_of("x" * 255) == "x" * 255


@pytest.mark.parametrize("header", ["", " ", '""', "x" * 256, "é", "a\tb", "\x7f"])
def test_keys_that_are_none(header: str) -> None:
    with pytest.raises(Problem) as caught:
        key_of(header)
    assert (caught.value.status, caught.value.code) == (400, ProblemCode.BAD_KEY)


def test_a_request_is_its_call_and_its_body() -> None:
    digests = {request_digest(call, body) for call, body in [("a", b"bc"), ("ab", b"c"), ("a", b"b"), ("", b"abc")]}
    assert len(digests) == 4
    assert request_digest("a\udc80", b"") == request_digest("a\udc80", b"")
