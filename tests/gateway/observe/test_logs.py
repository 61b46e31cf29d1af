"""One JSON object a line, whoever speaks; repeated lines are held back."""

from __future__ import annotations

import io
import logging
import re
import warnings
from typing import Any

import orjson
import pytest
import structlog

from gateway.observe.logs import LineLimit, RateLimited, configure_logs, rfc3339, tell_suppressed

pytestmark = pytest.mark.usefixtures("restored_logging")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    structlog.get_logger("gateway.some.part").info("listening", port=5023, peer=None, raw=b"\x01\xff", many={1})
    assert stream.getvalue().endswith("}\n")
    (line,) = lines(stream)
    assert list(line)[:3] == ["ts", "level", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "info",
        "event": "listening",
        "logger": "gateway.some.part",
        "port": 5023,
        "peer": None,
        "raw": "01ff",
        "many": [1],
    }


def test_text_with_line_breaks_stays_one_line() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    structlog.get_logger().warning("bad\nline", detail='a"\n{"level": "forged"}')
    (line,) = lines(stream)
    assert line["detail"] == 'a"\n{"level": "forged"}'


def test_the_library_logging_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    logging.getLogger("some.library").warning("slow %s", "thing", extra={"took_s": 3})
    logging.getLogger("some.library").debug("not heard")
    logging.getLogger("botocore").info("not heard")
    logging.getLogger("botocore").error("heard")
    first, second = lines(stream)
    assert list(first)[:3] == ["ts", "level", "event"]
    first.pop("ts")
    assert first == {"level": "warning", "event": "slow thing", "logger": "some.library", "took_s": 3}
    assert (second["logger"], second["level"]) == ("botocore", "error")


def test_exceptions_are_text_without_local_variables() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    password = "tell" + "-nobody"
    try:
        raise ValueError(f"length {len(password)}")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("also failed")
    for line in lines(stream):
        assert line["level"] == "error"
        assert "ValueError: length 11" in line["exception"]
        assert "exc_info" not in line
    assert "tell-nobody" not in stream.getvalue()


def test_warnings_are_lines_too() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", stacklevel=1)
    logging.captureWarnings(False)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"
    assert "old thing" in line["event"]


def test_level_and_context() -> None:
    stream = io.StringIO()
    configure_logs("error", "json", stream)
    structlog.get_logger().warning("not heard")
    configure_logs("debug", "json", stream)
    with structlog.contextvars.bound_contextvars(session_id="s1"):
        structlog.get_logger().bind(device_id="d1").debug("heard")
    (line,) = lines(stream)
    assert (line["session_id"], line["device_id"], line["level"]) == ("s1", "d1", "debug")


def test_loggers_made_earlier_follow_the_last_configuration() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger("early")
    configure_logs("info", "json", first)
    log.info("one")
    configure_logs("info", "json", second)
    log.info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_console_is_for_people() -> None:
    stream = io.StringIO()
    configure_logs("info", "console", stream)
    structlog.get_logger("x").info("listening", port=5023)
    logging.getLogger("lib").warning("hello")
    ours, theirs = stream.getvalue().splitlines()
    assert "listening" in ours
    assert "port=5023" in ours
    assert "hello" in theirs
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("unix_s", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1772323200.1239, "2026-03-01T00:00:00.123Z")]
)
def test_times(unix_s: float, text: str) -> None:
    assert rfc3339(unix_s) == text


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_repeated_lines_are_held_back_and_counted() -> None:
    clock = Clock()
    limited = RateLimited(burst=2, window_s=60, clock=clock)
    assert [limited.allow(key) for key in "aaaaab"] == [0, 0, None, None, None, 0]
    clock.now = 60
    assert [limited.allow("a"), limited.allow("a")] == [3, 0]


def test_windows_that_ended_in_silence_are_told_once() -> None:
    clock = Clock()
    limited = RateLimited(burst=1, window_s=10, clock=clock)
    for key in ("a", "a", "a", "b"):
        limited.allow(key)
    assert limited.ended() == []
    clock.now = 10
    assert limited.ended() == [("a", 2)]
    assert limited.ended() == []


def test_keys_are_bounded() -> None:
    limited = RateLimited(burst=1, clock=Clock(), max_keys=2)
    assert [limited.allow(key) for key in ("a", "b", "b", "c", "a")] == [0, 0, None, 0, 0]


def test_one_and_a_crowd_have_their_share() -> None:
    clock = Clock()
    limit = LineLimit(clock)
    assert sum(limit.allow("busy", "a") is not None for _ in range(10)) == LineLimit.OF_ONE
    passed = sum(limit.allow("busy", f"b{number}") is not None for number in range(100))
    assert passed == LineLimit.OF_KIND - LineLimit.OF_ONE
    assert limit.allow("other", "a") == 0
    clock.now = LineLimit.WINDOW_S
    assert limit.allow("busy", "a") == 7 + 73


def test_warnings_that_repeat_are_limited_by_event_and_kind() -> None:
    stream, clock = io.StringIO(), Clock()
    configure_logs("info", "json", stream, clock=clock)
    log = structlog.get_logger("gateway.part")
    for number in range(200):
        log.warning("bad", code="truncated", detail=number)
        log.info("good", code="truncated")
    log.error("bad", code="bad_check")
    log.warning("other")
    written = lines(stream)
    bad = [line for line in written if (line["event"], line.get("code")) == ("bad", "truncated")]
    assert [line["detail"] for line in bad] == list(range(50))
    assert sum(line["event"] == "good" for line in written) == 200
    assert [line["event"] for line in written if line["level"] == "error"] == ["bad"]
    assert written[-1]["event"] == "other"
    clock.now = 60
    log.warning("bad", code="truncated", suppressed=2)
    assert lines(stream)[-1]["suppressed"] == 150 + 2


def test_an_exception_in_a_loop_is_limited_too() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream, clock=Clock())
    for _ in range(60):
        try:
            raise ValueError("again")
        except ValueError:
            structlog.get_logger("gateway.part").exception("pipeline_failed", product="p")
    assert len(lines(stream)) == 50


def test_libraries_are_limited_by_their_message() -> None:
    stream, clock = io.StringIO(), Clock()
    configure_logs("info", "json", stream, clock=clock)
    for number in range(60):
        logging.getLogger("some.library").error("request %d failed", number)
    assert len(lines(stream)) == 50
    clock.now = 60
    logging.getLogger("some.library").error("request %d failed", 60)
    assert lines(stream)[-1]["suppressed"] == 10


def test_what_was_left_out_and_came_no_more_is_told_once() -> None:
    stream, clock = io.StringIO(), Clock()
    configure_logs("info", "json", stream, clock=clock)
    for _ in range(53):
        structlog.get_logger().warning("bad", code="truncated", listener="tcp")
    tell_suppressed()
    assert len(lines(stream)) == 50
    clock.now = 60
    tell_suppressed()
    tell_suppressed()
    told = lines(stream)[50:]
    assert [(line["event"], line["of"], line["kind"], line["count"]) for line in told] == [
        ("lines_suppressed", "bad", ["truncated", "tcp"], 3)
    ]
