"""What is told is counted, and what repeats is told within bounds."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import CloseReason, SourceProblem
from gateway.observe import events
from gateway.observe.logs import LineLimit
from gateway.observe.metrics import DeadLetterCounters, ListenerCounters, SinkCounters, SpoolCounters
from gateway.observe.source_metrics import SourceCounters

Line = MutableMapping[str, Any]

LETTER = DeadLetter(
    "letter-1", "bad_topic", "topic", "role `telemetri`: one of telemetry, status was expected", b"{}", 1, "", 0, "t1",
    "", "mqtt", "s", "127.0.0.1:1", topic="devices/t1/telemetri",
)  # fmt: skip


class Code(StrEnum):
    BUSY = "busy"
    UNKNOWN = "unknown"


class TestConnections:
    def test_a_line_names_listener_reason_and_what_the_face_knows(self) -> None:
        counters = ListenerCounters("l", open=2)
        with capture_logs() as logs:
            events.connection_closed(
                counters, events.close_lines(), CloseReason.IDLE_TIMEOUT, {"peer": "p", "frames": 3}
            )
        assert logs == [
            {
                "event": "connection_closed",
                "log_level": "info",
                "listener": "l",
                "reason": "idle_timeout",
                "peer": "p",
                "frames": 3,
            }
        ]
        assert (counters.open, counters.closed[CloseReason.IDLE_TIMEOUT]) == (1, 1)

    @pytest.mark.parametrize("reason", CloseReason)
    def test_a_crowd_gets_so_many_lines_and_all_are_counted(self, reason: CloseReason) -> None:
        counters, lines = ListenerCounters("l"), events.close_lines()
        many = events.CLOSE_LINES * 5
        with capture_logs() as logs:
            for _ in range(many):
                events.connection_closed(counters, lines, reason, {})
        assert counters.closed[reason] == many
        assert len(logs) == (many if reason in events.ALWAYS_TOLD else events.CLOSE_LINES)

    def test_a_bare_connect_is_no_news(self) -> None:
        counters = ListenerCounters("l", open=1)
        with capture_logs() as logs:
            events.bare_connect(counters, CloseReason.PEER_CLOSED, "p")
        assert [entry["log_level"] for entry in logs] == ["debug"]
        assert (counters.open, counters.closed[CloseReason.PEER_CLOSED]) == (0, 1)


class TestAccess:
    def deny(self, denied: dict[Code, int], lines: LineLimit, code: Code, address: str, **said: str) -> None:
        events.mqtt_client_denied(
            denied, lines, code, listener="mqtt", peer=f"{address}:1", address=address, said=said, detail="do this"
        )

    def test_the_line_says_who_and_what_to_do_within_bounds(self) -> None:
        denied = dict.fromkeys(Code, 0)
        with capture_logs() as logs:
            self.deny(denied, LineLimit(), Code.UNKNOWN, "192.0.2.7", user_name="x" * 60_000, client_id="")
        assert logs == [
            {
                "event": "mqtt_client_denied",
                "log_level": "warning",
                "code": "unknown",
                "listener": "mqtt",
                "peer": "192.0.2.7:1",
                "user_name": "x" * 128,
                "detail": "do this",
            }
        ]
        assert denied == {Code.BUSY: 0, Code.UNKNOWN: 1}

    def test_lines_are_limited_and_counts_are_not(self) -> None:
        denied, lines = dict.fromkeys(Code, 0), LineLimit(lambda: 0.0)
        with capture_logs() as logs:
            for number in range(100):
                self.deny(denied, lines, Code.BUSY, f"192.0.2.{number % 50}")
        assert denied[Code.BUSY] == 100
        assert len(logs) == LineLimit.OF_KIND

    def test_a_topic(self) -> None:
        with capture_logs() as logs:
            for _ in range(10):
                said = {"topic": "a/b", "tenant": ""}
                events.mqtt_topic_denied(LineLimit(), Code.BUSY, client_id="c" * 200, said=said, detail="d")
        assert logs[0]["client_id"] == "c" * 128
        assert logs[0]["topic"] == "a/b"
        assert "tenant" not in logs[0]

    def test_a_request(self) -> None:
        denied, lines = dict.fromkeys(Code, 0), LineLimit(lambda: 0.0)
        with capture_logs() as logs:
            for _ in range(10):
                events.rest_denied(
                    denied, lines, Code.BUSY, listener="rest", address="a", client="\x1b[2J\udcff", request_id="r"
                )
            events.rest_denied(denied, lines, Code.UNKNOWN, listener="rest", address="a", client="", request_id="r")
        assert denied == {Code.BUSY: 10, Code.UNKNOWN: 1}
        assert len(logs) == LineLimit.OF_ONE + 1
        assert logs[0]["client"].isprintable()
        assert "client" not in logs[-1]


class TestDeadLetters:
    def test_a_line_says_who_what_and_where_to_find_it(self) -> None:
        with capture_logs() as logs:
            events.dead_letter(LineLimit(), LETTER, "t-1")
        assert logs == [
            {
                "event": "dead_letter",
                "log_level": "warning",
                "code": "bad_topic",
                "listener": "mqtt",
                "device_id": "t1",
                "session_id": "s",
                "trace_id": "t-1",
                "topic": "devices/t1/telemetri",
                "detail": LETTER.detail,
                "dead_letter_id": "letter-1",
            }
        ]

    def test_a_device_and_a_fleet_have_their_share_of_lines(self) -> None:
        lines = LineLimit()
        with capture_logs() as logs:
            for _ in range(100):
                events.dead_letter(lines, LETTER, "")
        assert len(logs) == LineLimit.OF_ONE
        with capture_logs() as logs:
            for number in range(100):
                events.dead_letter(lines, replace(LETTER, device_id=f"d{number}"), "")
        assert len(logs) == LineLimit.OF_KIND - LineLimit.OF_ONE
        with capture_logs() as logs:
            events.dead_letter(lines, replace(LETTER, reason="truncated"), "")
        assert [line["code"] for line in logs] == ["truncated"]

    def test_a_devices_own_text_is_cut(self) -> None:
        with capture_logs() as logs:
            events.dead_letter(LineLimit(), replace(LETTER, detail="x" * 5000), "")
        assert len(logs[0]["detail"]) == 256

    def test_the_space_is_told_when_it_changes(self) -> None:
        counters = DeadLetterCounters(stored_bytes=90, capacity_bytes=100)
        with capture_logs() as logs:
            for nearly_full in (False, True, True, False):
                events.dead_letters_level(counters, nearly_full, "drop_oldest")
        assert [(line["event"], line["log_level"]) for line in logs] == [
            ("dead_letters_nearly_full", "warning"),
            ("dead_letters_have_room", "info"),
        ]
        assert logs[0]["stored_bytes"] == 90
        assert not counters.nearly_full

    def test_what_cannot_be_written_is_remembered(self) -> None:
        counters = DeadLetterCounters()
        with capture_logs() as logs:
            events.dead_letters_not_written(counters, 3, "disk full")
        assert counters.last_error == "disk full"
        assert logs[0]["letters"] == 3


class TestSinks:
    def test_trouble_is_told_once_and_its_end_once(self) -> None:
        counters = SinkCounters("main")
        with capture_logs() as logs:
            events.sink_healthy(counters)
            events.sink_unhealthy(counters, "throttled", "too fast")
            events.sink_unhealthy(counters, "connection", "nobody there")
            assert (counters.healthy, counters.last_error) == (False, "connection: nobody there")
            events.sink_healthy(counters)
            events.sink_healthy(counters)
        assert (counters.healthy, counters.last_error) == (True, "")
        assert [line["event"] for line in logs] == ["sink_unhealthy", "sink_healthy"]
        assert logs[0]["error_code"] == "throttled"

    def test_a_buried_record(self) -> None:
        counters = SinkCounters("main")
        with capture_logs() as logs:
            events.record_buried(counters, "r-1", "validation", "too large")
        assert counters.buried == 1
        assert logs[0]["record_id"] == "r-1"


def test_damage_on_the_disk_is_counted_with_its_bytes() -> None:
    counters = SpoolCounters()
    with capture_logs() as logs:
        events.spool_damaged(counters, Path("s/1.seg"), 40, 100)
        events.spool_tail_cut(counters, Path("s/1.seg"), 140, 7)
    assert (counters.bad_blocks, counters.lost_bytes, counters.torn_bytes) == (1, 100, 7)
    assert [(line["event"], line["offset"], line["bytes"]) for line in logs] == [
        ("spool_damaged", 40, 100),
        ("spool_tail_cut", 140, 7),
    ]


def test_a_source() -> None:
    counters = SourceCounters("mill")
    with capture_logs() as logs:
        events.source_connected(counters, {"broker": "b:1"})
        events.source_down(counters, SourceProblem.NO_ANSWER, broker="b:1", detail="d", again_in_s=0.12345)
        events.source_message_refused(counters, "too_large", "t" * 1000, "d")
    assert (counters.connects, counters.problems[SourceProblem.NO_ANSWER], counters.refused["too_large"]) == (1, 1, 1)
    assert [line["event"] for line in logs] == ["source_connected", "source_down", "source_message_refused"]
    assert logs[1]["again_in_s"] == 0.123
    assert logs[2]["topic"] == "t" * 256
