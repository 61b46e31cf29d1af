"""`iotlink dlq` of a stopped gateway: its files; exit codes, and what goes to stderr. A running one: the e2e tests."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.delivery.dead_letter_pages import IN_USE_LOCK, DirectoryLock, add_marks, letter_paths

RUN = CliRunner()
GOOD = "a50d02010704b00ce40a0e000716a7"
TRUNCATED = "a50901004512340007581a"


def line(key: str, raw: str = GOOD, **more: object) -> bytes:
    """As the first version wrote it."""
    known = {
        "dead_letter_id": key,
        "reason": "unknown_message",
        "stage": "decode",
        "detail": "no such message",
        "raw_hex": raw,
        "received_at": "2026-03-01T00:00:00.123Z",
        "product": "example_thermo",
        "spec_version": 1,
        "device_id": "004512345678",
        "tenant": "",
        "listener": "meters",
        "session_id": "s",
        "peer": "192.0.2.1:5",
        "message": "",
        "field": "",
        "offset": None,
    }
    return orjson.dumps(known | more, option=orjson.OPT_APPEND_NEWLINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Letters of a gateway with its data in `data` and no admin API."""
    monkeypatch.chdir(tmp_path)
    letters = tmp_path / "data" / "dead_letters"
    letters.mkdir(parents=True)
    lines = [line("u1"), line("u2", TRUNCATED, reason="bad_value"), line("u3", device_id="other"), line("torn")[:-9]]
    (letters / "letters-20260301T000000Z-000001.ndjson").write_bytes(b"".join(lines))
    return letters


def dlq(*arguments: str, admin: str = "admin=null") -> Result:
    return RUN.invoke(app, ["dlq", *arguments, "--set", admin])


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code in (0, 1), result.stderr
    return [orjson.loads(text) for text in result.stdout.splitlines()]


def ids(result: Result) -> list[object]:
    return [row["id"] for row in rows(result)]


def test_ls(folder: Path) -> None:
    assert ids(dlq("ls")) == ["u1", "u2", "u3"]
    assert ids(dlq("ls", "--device", "other")) == ["u3"]
    assert ids(dlq("ls", "--reason", "bad_value", "--product", "example_thermo", "--stage", "decode")) == ["u2"]
    assert ids(dlq("ls", "--since", "2026-03-01", "--until", "2026-03-02")) == ["u1", "u2", "u3"]
    assert ids(dlq("ls", "--id", "u1", "--id", "u3")) == ["u1", "u3"]
    limited = dlq("ls", "--limit", "2")
    assert ids(limited) == ["u1", "u2"]
    assert limited.stderr == "these are the first 2; --limit shows more\n"
    table = dlq("ls", "--output", "table").stdout.splitlines()
    assert table[0].split()[:3] == ["id", "received_at", "reason"]
    assert len(table) == 4


def test_ls_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rows(dlq("ls")) == []
    assert rows(dlq("purge", "--all"))[0]["purged"] == 0
    assert not (tmp_path / "data").exists()


def test_show(folder: Path) -> None:
    shown = orjson.loads(dlq("show", "u2").stdout)
    assert (shown["id"], shown["raw_hex"]) == ("u2", TRUNCATED)
    missing = dlq("show", "u9")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "no dead letter `u9`" in missing.stderr


def test_a_dry_run_says_what_would_become_of_each(folder: Path, specs: Path) -> None:
    result = dlq("replay", "--dry-run", "--set", f"dead_letters.dir={folder}")
    *letters, total = rows(result)
    assert result.exit_code == 1  # one would still fail
    assert [(row["id"], row["outcome"], row["records"]) for row in letters] == [
        ("u1", "replayed", 1),
        ("u2", "failed", 0),
        ("u3", "replayed", 1),
    ]
    assert letters[1]["now"] == "truncated"
    assert (total["matched"], total["replayed"], total["records"], total["still"]) == (3, 2, 2, {"truncated": 1})
    assert dlq("replay", "--dry-run", "--id", "u1", "--set", f"dead_letters.dir={folder}").exit_code == 0
    table = dlq("replay", "--dry-run", "--output", "table", "--set", f"dead_letters.dir={folder}").stdout
    assert "3 letters: 2 would become 2 records, 1 still fail" in table
    assert [path.name for path in folder.iterdir()] == ["letters-20260301T000000Z-000001.ndjson"]


def test_a_replay_needs_a_running_gateway(folder: Path) -> None:
    result = dlq("replay", "--all")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "the admin API is switched off; a replay needs a running gateway: start it, or use --dry-run\n"
    )
    assert "no fixed port" in dlq("replay", "--all", admin="admin.port=0").stderr


@pytest.mark.parametrize("command", [["replay"], ["purge"], ["purge", "--dry-run"]])
def test_all_must_be_said(folder: Path, command: list[str]) -> None:
    result = dlq(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "say which letters: a filter, --id, or --all\n"


def test_purge(folder: Path) -> None:
    assert rows(dlq("purge", "--reason", "bad_value", "--dry-run"))[0]["purged"] == 1
    assert ids(dlq("ls")) == ["u1", "u2", "u3"]
    assert rows(dlq("purge", "--reason", "bad_value"))[0]["reasons"] == {"bad_value": 1}
    assert ids(dlq("ls")) == ["u1", "u3"]
    (path,) = letter_paths(folder)
    add_marks(path, {"u1": None})
    table = dlq("purge", "--all", "--output", "table").stdout
    assert table.splitlines()[-1] == "1 deleted"
    assert letter_paths(folder) == []


def test_files_in_use_are_left_to_the_gateway(folder: Path) -> None:
    with DirectoryLock(folder, IN_USE_LOCK) as lock:
        assert lock.take(exclusive=False)
        result = dlq("purge", "--all")
        assert result.exit_code == 1
        assert "a running gateway uses" in result.stderr
        assert ids(dlq("ls")) == ["u1", "u2", "u3"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--since", "yesterday"], "since: a time is expected"),
        (["ls", "--url", "ftp://x"], "an address such as http://127.0.0.1:9465"),
        (["ls", "--url", "http://x:port"], "--url http://x:port"),
        (["ls", "--limit", "0"], "--limit"),
    ],
)
def test_what_is_asked_for_wrongly(folder: Path, arguments: list[str], said: str) -> None:
    result = dlq(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_nobody_at_the_url(folder: Path) -> None:
    result = dlq("ls", "--url", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("http://127.0.0.1:1: ")
