"""What callers get wrong on their first day: each mistake is named, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rest_client import CSV, JSON, NDJSON, Caller, caller_of, item, rest_config
from tests.e2e.rig import RunningGateway

pytestmark = pytest.mark.e2e

TELEMETRY = "/v1/telemetry?product=generic_json"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    settings = rest_config(tmp_path, rest={"max_item_bytes": 1_000, "stream_from_bytes": 3_000})
    async with RunningGateway(tmp_path, settings) as running:
        yield running


@pytest.fixture
async def caller(rig: RunningGateway) -> AsyncIterator[Caller]:
    async with caller_of(rig) as made:
        yield made


async def test_parameters_that_nobody_reads(rig: RunningGateway, caller: Caller) -> None:
    for path, detail in (
        ("/v1/telemetry?prodcut=generic_json", "prodcut: no such parameter (did you mean `product`?)"),
        ("/v1/telemetry?device-id=a", "device-id: no such parameter (did you mean `device_id`?)"),
        ("/v1/telemetry?product=generic_json&product=x", "product: it stands there twice"),
        ("/v1/records/alert?delimiter=;", "no such parameter"),
        ("/v1/frames/example_thermo?product=x", "product: no such parameter"),
        ("/v1/specs/example_thermo:decode?wait=spooled", "wait: no such parameter"),
        ("/v1/ingest/mqtt-bridge?zzz", "zzz: no such parameter (there is `product`, `wait`, `return`)"),
    ):
        answer = await caller.post(path, item())
        assert (answer.status, answer.json["code"]) == (400, "bad_parameter")
        assert detail in answer.json["detail"]
    for path in ("/v1/specs", "/v1/specs/example_thermo", "/docs", "/openapi.json"):
        answer = await caller.get(f"{path}?x%0Ay=1")
        assert (answer.status, answer.json["detail"]) == (400, r"'x\ny': no such parameter (there is none)")
    assert rig.sums().received == 0


async def test_bodies_with_nothing_in_them(rig: RunningGateway, caller: Caller) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        for piece in (b"\n", b"\r\n"):
            yield piece

    for form, given in (
        *((form, body) for form in (JSON, NDJSON, CSV) for body in (b"", b" \r\n\n")),
        *((form, b"") for form in ("application/octet-stream", "text/x-hex", "text/x-base64", "text/plain")),
        *((form, nothing()) for form in (JSON, NDJSON, CSV)),
    ):
        path = TELEMETRY if form in (JSON, NDJSON, CSV) else "/v1/frames/example_thermo?device_id=a"
        data: Any = given
        answer = await caller.post(path, data, form)
        assert (answer.status, answer.json["code"], answer.json["detail"]) == (400, "empty_body", "the body is empty")
    untyped = await caller.ask("POST", TELEMETRY)
    assert untyped.json["detail"] == "the body is empty (read as application/json, as no Content-Type was given)"
    sent = await caller.ask("POST", TELEMETRY, b"device_id,n\na,1\n")
    assert sent.json["detail"].endswith(": line 1, column 1 (read as application/json, as no Content-Type was given)")
    assert (await caller.post(TELEMETRY, b"[]")).json["accepted"] == 0
    assert (await caller.post(TELEMETRY, b"device_id,n\n", CSV)).json["accepted"] == 0
    assert rig.sums().received == 0


@pytest.mark.parametrize("rows", [1, 500])
async def test_a_header_that_is_too_long(rig: RunningGateway, caller: Caller, rows: int) -> None:
    """As a batch and line by line: the next line must not become the header."""
    answer = await caller.post(TELEMETRY, b"device_id," + b"n" * 1_000 + b"\n" + b"a,1234\n" * rows, CSV)
    assert (answer.status, answer.json["code"]) == (422, "bad_header")
    assert answer.json["detail"] == "the first record must name the columns: it is longer than is taken"
    long = await caller.post(TELEMETRY, b"device_id,n\na,1\n" + b"b" * 1_001 + b"\n" + b"a,1234\n" * rows, CSV)
    assert (long.status, long.json["accepted"], long.json["rejected"]) == (207, 1 + rows, 1)
    assert rig.sums().received == 1 + rows


async def test_ids_and_texts_that_are_none(rig: RunningGateway, caller: Caller) -> None:
    for path in (TELEMETRY, "/v1/records/alert", "/v1/ingest/ha/home"):
        wrong = await caller.post(path, {"device_id": 17, "fields": {"n": 1}})
        error = wrong.json["items"][0]["error"]
        assert (wrong.status, error["code"], error["pointer"]) == (400, "bad_document", "/device_id")
        assert error["message"] == "`device_id`: a text was expected"
    half = await caller.post(TELEMETRY, rb'{"device_id": "a", "name": "\ud800"}')
    assert (half.status, half.json["code"]) == (400, "not_json")
    assert half.json["detail"] == r"not JSON: \ud800 is half of a surrogate pair, and no text"
    lines = await caller.post(TELEMETRY, b'{"device_id": "a", "n": 1}\n{"device_id": "a", "n": "\\udc00"}\n', NDJSON)
    assert (lines.status, lines.statuses) == (207, ["accepted", "rejected"])


async def test_products_of_items_that_are_none(caller: Caller) -> None:
    answer = await caller.post("/v1/telemetry", [{**item(), "productId": name} for name in ("generic_jsno", "qqqq")])
    assert [one["error"]["message"] for one in answer.json["items"]] == [
        "no product `generic_jsno` (did you mean `generic_json`?)",
        "no product `qqqq` (GET /v1/specs lists them)",
    ]


async def test_paths_and_methods(rig: RunningGateway, caller: Caller) -> None:
    slash = await caller.post("/v1/telemetry/", item())
    assert (slash.status, slash.json["code"]) == (404, "not_found")
    assert slash.json["detail"] == "no such path (did you mean /v1/telemetry?): the calls are listed at /docs"
    got = await caller.get("/v1/telemetry")
    assert (got.status, got.json["detail"], got.headers["Allow"]) == (405, "GET is not taken here: POST is", "POST")
    posted = await caller.post("/v1/specs", item())
    assert (posted.status, posted.json["detail"]) == (405, "POST is not taken here: GET and HEAD are")
