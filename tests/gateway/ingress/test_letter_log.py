from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from gateway.domain.dead_letter import DeadLetter
from gateway.ingress.letter_log import LINES_OF_ONE, LINES_OF_REASON, LetterLog

LETTER = DeadLetter(
    "letter-1", "bad_topic", "topic", "role `telemetri`: one of telemetry, status was expected", b"{}", 1, "", 0, "t1",
    "", "mqtt", "s", "127.0.0.1:1", topic="devices/t1/telemetri",
)  # fmt: skip


def test_a_line_says_who_what_and_where_to_find_it() -> None:
    with capture_logs() as lines:
        LetterLog().write(LETTER)
    assert lines == [
        {
            "event": "dead_letter",
            "log_level": "warning",
            "code": "bad_topic",
            "listener": "mqtt",
            "device_id": "t1",
            "topic": "devices/t1/telemetri",
            "detail": LETTER.detail,
            "dead_letter_id": "letter-1",
        }
    ]


def test_a_device_and_a_fleet_have_their_share_of_lines() -> None:
    log = LetterLog()
    with capture_logs() as lines:
        for _ in range(100):
            log.write(LETTER)
    assert len(lines) == LINES_OF_ONE
    with capture_logs() as lines:
        for number in range(100):
            log.write(replace(LETTER, device_id=f"d{number}"))
    assert len(lines) == LINES_OF_REASON - LINES_OF_ONE
    with capture_logs() as lines:
        log.write(replace(LETTER, reason="truncated"))
    assert [line["code"] for line in lines] == ["truncated"]


def test_a_devices_own_text_is_cut() -> None:
    with capture_logs() as lines:
        LetterLog().write(replace(LETTER, detail="x" * 5000))
    assert len(lines[0]["detail"]) == 256
