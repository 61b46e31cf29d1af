from __future__ import annotations

import asyncio
import io
import json

import pytest
from structlog.testing import capture_logs

from gateway.observe.access_log import AccessLog
from gateway.observe.logs import configure_logs

pytestmark = pytest.mark.usefixtures("restored_logging")


class Stream(io.StringIO):
    """Counts what is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


async def two_turns() -> None:
    for _ in range(2):
        await asyncio.sleep(0)


async def test_lines_of_one_turn_are_written_at_once() -> None:
    stream = Stream()
    configure_logs("info", "json", stream)
    log = AccessLog()
    for number in range(3):
        log.add({"request_id": f"r-{number}", "status": 200})
    assert stream.writes == 0
    await two_turns()
    assert stream.writes == 1
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [list(line)[:3] for line in lines] == [["ts", "level", "event"]] * 3
    assert [(line["event"], line["level"], line["request_id"]) for line in lines] == [
        ("http_request", "info", f"r-{number}") for number in range(3)
    ]
    log.add({"request_id": "r-3"})
    await two_turns()
    assert (stream.writes, len(stream.getvalue().splitlines())) == (2, 4)


@pytest.mark.parametrize(("level", "format", "lines"), [("warning", "json", 0), ("info", "console", 1)])
async def test_level_and_format_are_those_of_all_lines(level: str, format: str, lines: int) -> None:
    stream = Stream()
    configure_logs(level, format, stream)
    AccessLog().add({"request_id": "r-1"})
    await two_turns()
    assert stream.getvalue().count("http_request") == lines


async def test_whoever_captures_logs_has_them() -> None:
    with capture_logs() as logs:
        AccessLog().add({"request_id": "r-1"})
        await two_turns()
    assert logs == [{"event": "http_request", "log_level": "info", "request_id": "r-1"}]
