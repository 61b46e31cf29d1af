from __future__ import annotations

import io
import socket
from collections.abc import Sequence

import pytest

from gateway.cli.ingest_chunks import Chunk, ChunkPlan, FileFormat, chunks_of
from gateway.cli.ingest_push import BadTarget, GaveUp, LineError, Pusher, Refused, Sent, Target
from tests.gateway.cli.rest_server import Answering, Given, Seen, scripted, taken

BODY = b'{"a":1}\n\n{"a":2}\n{"a":3}\n'
WRONG = {"index": 1, "status": "rejected", "error": {"code": "wrong_type", "message": "no", "pointer": "/a"}}
LATER = {"index": 2, "status": "rejected", "error": {"code": "outbox_full", "message": "no room", "retry": True}}


def chunk(data: bytes = BODY) -> Chunk:
    [found] = chunks_of(data, io.BytesIO(), ChunkPlan(FileFormat.NDJSON, 10_000))
    return found


class Patience:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.reasons: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def waiting(self, reason: str, seconds: float) -> None:
        self.reasons.append(reason)


def push(
    answering: Answering, patience: Patience | None = None, *, packed: bool = False, what: Chunk | None = None
) -> tuple[Sent, list[Seen]]:
    patience = patience or Patience()
    with scripted(answering) as server:
        pusher = Pusher(
            Target(server.url, "/v1/telemetry?return=errors"),
            {"Content-Type": "application/x-ndjson"},
            packed=packed,
            patience_s=60,
            waiting=patience.waiting,
            sleep=patience.sleep,
            clock=lambda: patience.now,
        )
        try:
            return pusher.push(what or chunk(), "key-1"), server.seen
        finally:
            pusher.close()


def by_turn(*answers: Given) -> Answering:
    return lambda seen, before: answers[before]


@pytest.mark.parametrize("packed", [False, True])
def test_a_chunk_goes_whole_under_its_key(packed: bool) -> None:
    sent, [seen] = push(by_turn(taken(3)), packed=packed)
    assert (sent.accepted, sent.rejected, sent.errors) == (3, 0, [])
    assert (seen.path, seen.body) == ("/v1/telemetry?return=errors", b'{"a":1}\n{"a":2}\n{"a":3}\n')
    assert (seen.key, seen.headers["content-type"]) == ("key-1", "application/x-ndjson")
    assert seen.headers.get("content-encoding") == ("gzip" if packed else None)


def test_what_packs_too_well_goes_as_it_is() -> None:
    _, [seen] = push(by_turn(taken(50)), packed=True, what=chunk(b'{"a":1}\n' * 5_000))
    assert "content-encoding" not in seen.headers
    assert seen.body == b'{"a":1}\n' * 5_000


def test_errors_of_items_have_the_line_of_the_file() -> None:
    sent, _ = push(by_turn(taken(2, WRONG)))
    assert (sent.accepted, sent.rejected) == (2, 1)
    assert sent.errors == [LineError(3, "wrong_type", "no", "/a")]
    assert sent.errors[0].document() == {"line": 3, "code": "wrong_type", "message": "no", "pointer": "/a"}


def test_a_chunk_of_which_nothing_is_right_is_answered_too() -> None:
    problem = {"code": "nothing_accepted", "accepted": 0, "rejected": 1, "items": [WRONG]}
    sent, seen = push(by_turn(Given(422, problem)))
    assert (sent.accepted, sent.rejected, len(seen)) == (0, 1, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_asked_to(status: int) -> None:
    patience = Patience()
    busy = Given(status, {"code": "busy", "detail": "full", "limit": {"name": "spool.max_bytes"}}, {"Retry-After": "7"})
    sent, seen = push(by_turn(busy, busy, taken(3)), patience)
    assert sent.accepted == 3
    assert patience.pauses == [7.0, 7.0]
    assert patience.reasons[0] == f"{status} busy: full (limit: spool.max_bytes)"
    assert {request.key for request in seen} == {"key-1"}
    assert len({request.body for request in seen}) == 1


def test_without_a_time_it_waits_longer_each_time() -> None:
    patience = Patience()
    push(by_turn(*[Given(502, b"<html>")] * 4, taken(3)), patience)
    assert all(0.5 * 0.5 * 2**turn <= pause <= 0.5 * 1.5 * 2**turn for turn, pause in enumerate(patience.pauses))
    assert patience.reasons[0] == "502: Bad Gateway"


def test_a_connection_that_breaks_is_made_again() -> None:
    patience = Patience()
    sent, seen = push(by_turn(Given(hang_up=True), taken(3)), patience)
    assert (sent.accepted, len(seen), len(patience.pauses)) == (3, 2, 1)
    assert "Remote end closed" in patience.reasons[0]


@pytest.mark.parametrize(
    "open_answer",
    [
        taken(2, LATER),
        Given(207, {"accepted": 2, "rejected": 0, "pending": 1, "items": []}),
        Given(503, {"code": "nothing_accepted", "accepted": 0, "rejected": 1, "items": [LATER]}, {"Retry-After": "1"}),
        Given(409, {"code": "idempotency_key_in_progress", "detail": "under way"}, {"Retry-After": "1"}),
    ],
)
def test_a_chunk_that_is_not_answered_for_good_is_sent_again(open_answer: Given) -> None:
    sent, seen = push(by_turn(open_answer, taken(3)))
    assert (sent.accepted, sent.rejected, sent.errors) == (3, 0, [])
    assert [request.key for request in seen] == ["key-1"] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422])
def test_what_is_refused_whole_is_not_tried_again(status: int) -> None:
    with pytest.raises(Refused, match=f"{status} some_code: because"):
        push(by_turn(Given(status, {"code": "some_code", "detail": "because"})))


def test_it_gives_up_when_its_patience_ends() -> None:
    patience = Patience()
    with pytest.raises(GaveUp, match="503 busy: full; tried for 60 s"):
        push(lambda seen, before: Given(503, {"code": "busy", "detail": "full"}), patience)
    assert patience.now <= 60
    with pytest.raises(GaveUp):  # longer than its patience: at once
        push(lambda seen, before: Given(429, {}, {"Retry-After": "40000"}), patience := Patience())
    assert patience.pauses == []


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    patience = Patience()
    target = Target(f"http://127.0.0.1:{port}", "/v1/telemetry")
    pusher = Pusher(
        target, {}, packed=False, patience_s=5, waiting=patience.waiting, sleep=patience.sleep, clock=lambda: 0.0
    )
    pusher._clock = lambda: patience.now
    with pytest.raises(GaveUp, match="Connection refused"):
        pusher.push(chunk(), "key-1")


def test_a_chunk_of_long_lines_alone_is_sent_nowhere() -> None:
    [long_line] = chunks_of(b"x" * 20, io.BytesIO(), ChunkPlan(FileFormat.NDJSON, 100, max_bytes=10))
    sent, seen = push(by_turn(), what=long_line)
    assert (sent.rejected, [error.line for error in sent.errors], seen) == (1, [1], [])


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://a", "http://", "http://a:99999", "http://a/?x=1"])
def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(BadTarget):
        Target(url, "/v1/telemetry")


def test_a_path_of_a_proxy_stays_before_ours() -> None:
    target = Target("https://user@example.org/iot/", "/v1/telemetry")
    assert (target.name, target.path) == ("https://example.org", "/iot/v1/telemetry")
    assert _kinds([target, Target("http://a", "/")]) == ["HTTPSConnection", "HTTPConnection"]


def _kinds(targets: Sequence[Target]) -> list[str]:
    return [type(target.connect()).__name__ for target in targets]
