"""One JSON object a line, whoever speaks; repeated lines are held back."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from gateway.observe.logs import RateLimited, configure_logs, rfc3339


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging as the test runner had it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


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
    written: list[tuple[str, dict[str, Any]]] = []

    def write(event: str, **fields: Any) -> None:
        written.append((event, fields))

    for _ in range(5):
        limited.log(write, "a", "bad", x=1)
    limited.log(write, "b", "other")
    assert written == [("bad", {"x": 1}), ("bad", {"x": 1}), ("other", {})]
    clock.now = 60
    limited.log(write, "a", "bad", x=2)
    limited.log(write, "a", "bad", x=3)
    assert written[3:] == [("bad", {"x": 2, "suppressed": 3}), ("bad", {"x": 3})]


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
