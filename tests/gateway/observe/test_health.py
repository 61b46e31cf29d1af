"""What the board remembers of what the parts say."""

from __future__ import annotations

from structlog.testing import capture_logs

from gateway.observe.health import ComponentHealth, HealthBoard, State

SECOND = 1000


class Rig:
    def __init__(self) -> None:
        self.now_ms = 0
        self.said = ComponentHealth()
        self.board = HealthBoard(lambda: self.now_ms)
        self.board.add("spool", lambda: self.said)

    def look(self, at_s: int, state: State, error: str = "") -> None:
        self.now_ms = at_s * SECOND
        self.said = ComponentHealth(state, error)
        self.board.look()

    def report(self) -> dict[str, object]:
        found = self.board.report()[1]["spool"]
        assert isinstance(found, dict)
        return found


def at(second: int) -> str:
    return f"1970-01-01T00:00:{second:02}.000Z"


def test_nothing_ever_happened() -> None:
    rig = Rig()
    assert rig.board.report() == (True, {"spool": {"state": "ok", "since": at(0), "last_error": None}})


def test_since_is_when_the_state_changed_and_the_last_error_stays() -> None:
    rig = Rig()
    rig.look(1, State.OK)
    rig.look(5, State.DOWN, "disk full")
    rig.look(9, State.DOWN, "disk full")
    assert rig.report() == {"state": "down", "since": at(5), "last_error": {"detail": "disk full", "at": at(5)}}
    rig.look(10, State.DOWN, "disk gone")
    assert rig.report() == {"state": "down", "since": at(5), "last_error": {"detail": "disk gone", "at": at(10)}}
    rig.look(20, State.OK)
    assert rig.report() == {"state": "ok", "since": at(20), "last_error": {"detail": "disk gone", "at": at(10)}}
    rig.look(30, State.DEGRADED, "disk gone")
    assert rig.report() == {"state": "degraded", "since": at(30), "last_error": {"detail": "disk gone", "at": at(30)}}


def test_one_part_that_is_not_well_is_enough() -> None:
    board = HealthBoard(lambda: 0)
    states = {"a": State.OK, "b": State.OK}
    for name in states:
        board.add(name, lambda name=name: ComponentHealth(states[name]))  # type: ignore[misc]
    assert board.report()[0]
    for state in (State.DEGRADED, State.DOWN):
        states["b"] = state
        assert not board.report()[0]
    assert HealthBoard(lambda: 0).report() == (True, {})


def test_parts_of_a_part_are_remembered_each() -> None:
    rig = Rig()
    rig.now_ms = 7 * SECOND
    well, ill = ComponentHealth(facts={"backlog_records": 0}), ComponentHealth(State.DOWN, "connection: gone")
    rig.said = ComponentHealth.of_parts({"main": ill, "alerts": well})
    assert rig.report() == {
        "state": "degraded",
        "since": at(7),
        "last_error": {"detail": "main: connection: gone", "at": at(7)},
        "parts": {
            "main": {"state": "down", "since": at(7), "last_error": {"detail": "connection: gone", "at": at(7)}},
            "alerts": {"state": "ok", "since": at(7), "last_error": None, "backlog_records": 0},
        },
    }
    rig.said = ComponentHealth.of_parts({"main": well, "alerts": well})
    assert rig.board.report()[0]


def test_a_part_that_cannot_be_asked_is_said_to_be_degraded() -> None:
    def broken() -> ComponentHealth:
        raise RuntimeError("broken")

    board = HealthBoard(lambda: 0)
    board.add("x", broken)
    with capture_logs() as logs:
        well, found = board.report()
    assert not well
    assert found["x"]["state"] == "degraded"
    assert found["x"]["last_error"]["detail"] == "its state could not be read"
    assert [line["component"] for line in logs] == ["x"]
