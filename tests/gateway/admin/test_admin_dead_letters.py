"""The dead letters in the operations API: lists, filters, replay and purge over HTTP, and the audit lines."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.admin.dead_letters import DeadLetterRoutes
from gateway.admin.replay import Replayer
from gateway.admin.server import AdminServer
from gateway.delivery.dead_letter_pages import WORK_LOCK, DirectoryLock
from gateway.observe.metrics import Metrics
from tests.gateway.admin.conftest import GOOD, TRUNCATED, Bench, MakeBench, buried, letter

Json = dict[str, Any]


class Client:
    def __init__(self, bench: Bench, url: str, session: aiohttp.ClientSession) -> None:
        self.bench = bench
        self.url = url
        self.session = session

    async def get(self, path: str = "", **query: Any) -> Json:
        async with self.session.get(f"{self.url}/v1/dead-letters{path}", params=query) as answer:
            return {"http": answer.status, **await answer.json(content_type=None)}

    async def post(self, action: str, body: Any) -> Json:
        async with self.session.post(f"{self.url}/v1/dead-letters:{action}", json=body) as answer:
            return {"http": answer.status, **await answer.json(content_type=None)}


@pytest.fixture
async def api(bench: MakeBench) -> AsyncIterator[Client]:
    async with bench() as b, contextlib.AsyncExitStack() as stack:
        server = AdminServer(DeadLetterRoutes(b.replayer), Metrics(), host="127.0.0.1", port=0)
        await server.start()
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)))
        yield Client(b, f"http://127.0.0.1:{server.port}", session)


async def test_a_list_page_by_page(api: Client) -> None:
    await api.bench.keep(*(letter(f"u{i}") for i in range(5)))
    first = await api.get(limit=3)
    rest = await api.get(limit=3, cursor=first["next"])
    assert [row["id"] for row in first["items"] + rest["items"]] == [f"u{i}" for i in range(5)]
    assert rest["next"] is None
    assert first["directory"] == str(api.bench.store.directory)
    row = first["items"][0]
    assert (row["reason"], row["bytes"], row["attempts"]) == ("unknown_message", 15, 0)
    assert "raw_hex" not in row


async def test_filters_of_a_list(api: Client) -> None:
    await api.bench.keep(letter("u1"), letter("u2", device="d", tenant="acme"), buried("r-0"))
    assert [row["id"] for row in (await api.get(device="acme/d"))["items"]] == ["u2"]
    assert [row["id"] for row in (await api.get(stage="sink", reason="buried"))["items"]] == ["r-0@main"]
    assert [row["id"] for row in (await api.get(id="u1"))["items"]] == ["u1"]
    assert (await api.get(since="2026-03-02"))["items"] == []
    assert len((await api.get(since="2026-03-01T01:00:00+01:00", until="2026-03-01T00:00:00.124Z"))["items"]) == 3


async def test_one_letter_whole(api: Client) -> None:
    await api.bench.keep(letter("u1"), buried("r-0"))
    found = await api.get("/u1")
    assert (found["id"], found["raw_hex"], found["received_at"]) == ("u1", GOOD, "2026-03-01T00:00:00.123Z")
    found = await api.get(f"/{quote('r-0@main')}")
    assert (found["sink"], found["lane"], found["record"]) == ("main", "acme/d", {"record_id": "r-0", "n": 1.5})
    missing = await api.get("/u9")
    assert (missing["http"], missing["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"limit": "0"}, "limit: 1 to"),
        ({"limit": "x"}, "limit: 1 to"),
        ({"limit": "99999999999999999999"}, "limit: 1 to"),
        ({"cursor": "x"}, "cursor: take it"),
        ({"since": "yesterday"}, "since: a time is expected"),
        ({"prodcut": "x"}, "unknown: prodcut"),
        ({"product": ""}, "product: a text is expected"),
    ],
)
async def test_queries_that_mean_nothing(api: Client, query: Json, said: str) -> None:
    answer = await api.get(**query)
    assert (answer["http"], answer["code"]) == (400, "bad_request")
    assert said in answer["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "not_json"),
        ({"product": 5}, "bad_request"),
        ({"ids": []}, "bad_request"),
        ({"ids": "u1"}, "bad_request"),
        ({"ids": ["x"] * 1001}, "bad_request"),
        ({"reasons": ["x"]}, "bad_request"),
        ({"dry_run": "yes", "product": "x"}, "bad_request"),
        ({"since": 5}, "bad_request"),
        ({}, "no_filter"),
        ({"all": False}, "no_filter"),
        ({"dry_run": True}, "no_filter"),
    ],
)
async def test_nothing_is_purged_by_mistake(api: Client, body: Any, code: str) -> None:
    await api.bench.keep(letter("u1"))
    answer = await api.post("purge", body)
    assert (answer["http"], answer["code"]) == (400, code)
    assert await api.bench.keys() == ["u1"]


async def test_a_body_that_is_no_json(api: Client) -> None:
    options: Any = {"data": b"{", "headers": {"Content-Type": "application/json"}}
    async with api.session.post(f"{api.url}/v1/dead-letters:replay", **options) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["code"] == "not_json"


async def test_replay_and_its_audit_line(api: Client) -> None:
    await api.bench.keep(letter("u1"), letter("u2", TRUNCATED))
    with capture_logs() as logs:
        dry = await api.post("replay", {"product": "example_thermo", "dry_run": True})
        assert (dry["replayed"], dry["failed"], dry["dry_run"]) == (1, 1, True)
        assert len(await api.bench.keys()) == 2
        done = await api.post("replay", {"ids": ["u1", "u2"]})
    assert (done["replayed"], done["failed"], done["records"], done["still"]) == (1, 1, 1, {"truncated": 1})
    assert [(row["id"], row["outcome"]) for row in done["letters"]] == [("u1", "replayed"), ("u2", "failed")]
    (audit,) = [entry for entry in logs if entry["event"] == "audit"]
    assert audit == {
        "event": "audit",
        "log_level": "info",
        "who": "local:127.0.0.1",
        "action": "dead_letters.replay",
        "resource": "dead_letters",
        "selected": {"ids": ["u1", "u2"]},
        "result": {
            **{"matched": 2, "replayed": 1, "failed": 1, "refused": 0, "pending": 0, "records": 1},
            "problem": "",
        },
    }


async def test_a_replay_in_several_calls(api: Client) -> None:
    await api.bench.keep(*(letter(f"u{i}") for i in range(5)))
    first = await api.post("replay", {"limit": 3})
    second = await api.post("replay", {"limit": 3, "cursor": first["next"]})
    assert (first["matched"], second["matched"], second["next"]) == (3, 2, "")


async def test_purge_and_its_audit_line(api: Client) -> None:
    await api.bench.keep(letter("u1"), letter("u2", reason="contract"))
    assert (await api.post("purge", {"reason": "contract", "dry_run": True}))["purged"] == 1
    with capture_logs() as logs:
        assert (await api.post("purge", {"reason": "contract"}))["reasons"] == {"contract": 1}
        assert (await api.post("purge", {"all": True}))["purged"] == 1
    audits = [entry for entry in logs if entry["event"] == "audit"]
    assert [(audit["action"], audit["resource"], audit["selected"], audit["result"]) for audit in audits] == [
        ("dead_letters.purge", "dead_letters", {"reason": "contract"}, {"purged": 1, "reasons": {"contract": 1}}),
        ("dead_letters.purge", "dead_letters", {}, {"purged": 1, "reasons": {"unknown_message": 1}}),
    ]
    assert await api.bench.keys() == []


async def test_of_many_ids_the_audit_line_has_the_first(api: Client) -> None:
    with capture_logs() as logs:
        await api.post("purge", {"ids": [f"u{i:03}" for i in range(25)]})
    (audit,) = [entry for entry in logs if entry["event"] == "audit"]
    assert audit["selected"] == {"ids": [f"u{i:03}" for i in range(20)], "more_ids": 5}
    assert audit["result"] == {"purged": 0, "reasons": {}}


@pytest.mark.parametrize("action", ["replay", "purge"])
async def test_a_disk_that_fails_midway_is_in_the_audit_line(
    api: Client, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Replayer, action, fail)
    with capture_logs() as logs:
        assert (await api.post(action, {"product": "x", "dry_run": True}))["http"] == 507
        assert (await api.post(action, {"product": "x"}))["code"] == "disk"
    (audit,) = [entry for entry in logs if entry["event"] == "audit"]
    assert (audit["action"], audit["selected"]) == (f"dead_letters.{action}", {"product": "x"})
    assert audit["result"] == {"problem": "No space left on device"}


async def test_somebody_else_at_work(api: Client) -> None:
    with DirectoryLock(api.bench.store.directory, WORK_LOCK) as lock:
        assert lock.take()
        for action in ("replay", "purge"):
            answer = await api.post(action, {"product": "x"})
            assert (answer["http"], answer["code"]) == (409, "busy")
