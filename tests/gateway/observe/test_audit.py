"""One line per change, with what is different and nothing else."""

from __future__ import annotations

from structlog.testing import capture_logs

from gateway.observe.audit import audit, audit_run


def test_a_change_shows_what_is_different() -> None:
    before = {"id": "a", "zone": "UTC", "tags": {"x": "1"}, "old": None}
    with capture_logs() as lines:
        audit("client:ops", "devices.update", "device:a", before=before, after={"id": "a", "zone": "UTC", "tags": {}})
    assert lines == [
        {
            "event": "audit",
            "log_level": "info",
            "who": "client:ops",
            "action": "devices.update",
            "resource": "device:a",
            "before": {"tags": {"x": "1"}, "old": None},
            "after": {"tags": {}},
        }
    ]


def test_what_came_and_went() -> None:
    with capture_logs() as lines:
        audit("local:alice", "keys.create", "key:a", before=None, after={"id": "a"})
        audit("local:alice", "keys.remove", "key:a", before={"id": "a"}, after=None)
        audit("local:alice", "keys.update", "key:a", before={"id": "a"}, after={"id": "a"})
    assert [(line["before"], line["after"]) for line in lines] == [(None, {"id": "a"}), ({"id": "a"}, None)]


def test_a_run_shows_which_ones_and_what_became_of_them() -> None:
    with capture_logs() as lines:
        audit_run("local:alice", "things.purge", "things", selected={"kind": "a"}, result={"purged": 3})
    assert lines == [
        {
            "event": "audit",
            "log_level": "info",
            "who": "local:alice",
            "action": "things.purge",
            "resource": "things",
            "selected": {"kind": "a"},
            "result": {"purged": 3},
        }
    ]
