from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason
from gateway.ingress.close_log import LIMITED, LINES, WINDOW_MS, CloseLog


def test_a_line_names_listener_reason_and_what_the_face_knows() -> None:
    with capture_logs() as logs:
        CloseLog("l").write(CloseReason.IDLE_TIMEOUT, 0, {"peer": "p", "frames": 3})
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


@pytest.mark.parametrize("reason", sorted(LIMITED))
def test_a_crowd_gets_so_many_lines_and_the_next_one_tells_how_many_were_left_out(reason: CloseReason) -> None:
    log = CloseLog("l")
    with capture_logs() as logs:
        for number in range(LINES + 7):
            log.write(reason, 5 + number, {})
        assert len(logs) == LINES
        log.write(reason, 5 + WINDOW_MS, {})
        log.write(reason, 5 + WINDOW_MS, {})
    assert [entry.get("suppressed_lines") for entry in logs[-2:]] == [7, None]


@pytest.mark.parametrize("reason", sorted(set(CloseReason) - LIMITED))
def test_the_end_of_a_proper_session_is_always_told(reason: CloseReason) -> None:
    log = CloseLog("l")
    with capture_logs() as logs:
        for _ in range(LINES * 5):
            log.write(reason, 5, {})
    assert len(logs) == LINES * 5


def test_a_bare_connect_is_no_news() -> None:
    with capture_logs() as logs:
        CloseLog("l").bare_connect("p")
    assert [entry["log_level"] for entry in logs] == ["debug"]
