"""Watching frames costs nothing until somebody watches."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from gateway.domain.ports import FrameTap
from gateway.observe.logs import configure_logs
from gateway.observe.tap import Tap


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    yield stream
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_it_is_off_until_somebody_watches() -> None:
    tap = Tap()
    port: FrameTap = tap
    assert not port.enabled
    seen: list[tuple[str, str, bytes, str]] = []
    stop = tap.subscribe(lambda *frame: seen.append(frame))
    assert port.enabled
    port.frame("s1", "in", b"\x78\x78", "login")
    assert seen == [("s1", "in", b"\x78\x78", "login")]
    stop()
    stop()
    assert not port.enabled


def test_frames_become_debug_lines(log: io.StringIO) -> None:
    tap = Tap(log_frames=True)
    assert tap.enabled
    tap.frame("s1", "out", b"\x01\x02", "reply")
    line = orjson.loads(log.getvalue())
    line.pop("ts")
    assert line == {
        "level": "debug", "event": "frame", "logger": "gateway.observe.tap",
        "session_id": "s1", "direction": "out", "size": 2, "hex": "0102", "note": "reply",
    }  # fmt: skip


def test_a_line_stays_short(log: io.StringIO) -> None:
    Tap(log_frames=True).frame("s1", "in", bytes(100_000), "")
    assert len(log.getvalue()) < 16_384
    assert orjson.loads(log.getvalue())["size"] == 100_000


def test_one_bad_subscriber_harms_nobody(log: io.StringIO) -> None:
    tap = Tap()
    seen: list[str] = []

    def bad(*_: object) -> None:
        raise RuntimeError("broken")

    tap.subscribe(bad)
    tap.subscribe(lambda session_id, *_: seen.append(session_id))
    tap.frame("s1", "in", b"", "")
    tap.frame("s2", "in", b"", "")
    assert seen == ["s1", "s2"]
    assert log.getvalue().count("tap_subscriber_failed") == 1
