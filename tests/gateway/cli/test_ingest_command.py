from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.gateway.cli.rest_server import Answering, Given, Seen, scripted, taken

LINES = [b'{"device_id":"d-%d","metrics":{"t":%d}}' % (number, number) for number in range(1, 6)]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IOTLINK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"\n".join(LINES))
    return path


def ingest(answering: Answering, *arguments: str | Path) -> tuple[int, list[Seen]]:
    with scripted(answering) as server:
        return main(["ingest", *map(str, arguments), "--url", server.url, "--output", "json"]), server.seen


def all_taken(seen: Seen, before: int) -> Given:
    return taken(seen.body.count(b"\n"))


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    shown = capsys.readouterr()
    return (json.loads(shown.out)[0] if shown.out else None), shown.err


def test_a_file_goes_in_chunks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, seen = ingest(all_taken, file, "--batch", "2")
    assert code == 0
    assert printed(capsys) == ({"accepted": 5, "rejected": 0, "chunks": 3, "last_line": 5}, "")
    assert b"".join(request.body for request in seen).splitlines() == LINES
    assert {request.path for request in seen} == {"/v1/telemetry?return=errors"}
    assert len({request.key for request in seen}) == 3
    assert list((file.parent / "cache" / "ingest").iterdir()) == []


def test_options_say_where_and_who(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "iotlink_erp_secret")
    options = ("--product", "a b", "--type", "alert", "--key-env", "OUR_KEY", "--gzip", "--format", "ndjson")
    code, [seen] = ingest(all_taken, file, *options)
    assert code == 0
    assert seen.path == "/v1/records/alert?return=errors&product=a+b"
    assert seen.headers["authorization"] == "Bearer iotlink_erp_secret"
    assert (seen.headers["content-encoding"], seen.headers["content-type"]) == ("gzip", "application/x-ndjson")
    _, [seen] = ingest(all_taken, file, "--key", "iotlink_b")
    assert seen.headers["authorization"] == "Bearer iotlink_b"
    _, [seen] = ingest(all_taken, file)
    assert "authorization" not in seen.headers


def test_csv_keeps_its_header(file: Path) -> None:
    table = file.with_suffix(".csv")
    table.write_bytes("id,온도\na,1\nb,2\n".encode("cp949"))
    code, seen = ingest(lambda seen, before: taken(1), table, "--batch", "1")
    assert code == 0
    assert [request.body for request in seen] == ["id,온도\na,1\n".encode("cp949"), "id,온도\nb,2\n".encode("cp949")]
    assert seen[1].headers["content-type"] == "text/csv; header=present; charset=cp949"


def test_stdin_is_read_to_its_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.write(write, file.read_bytes())
    os.close(write)
    with os.fdopen(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        code, [seen] = ingest(all_taken, "-")
    assert (code, seen.body.splitlines()) == (0, LINES)
    assert not (file.parent / "cache" / "ingest").exists()


WRONG = {"index": 0, "status": "rejected", "error": {"code": "wrong_type", "message": "no", "pointer": "/metrics/t"}}


def test_errors_stand_on_stderr_by_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = ingest(lambda seen, before: taken(1, WRONG), file, "--batch", "2")
    row, err = printed(capsys)
    assert (code, row["accepted"], row["rejected"]) == (1, 3, 3)
    assert err.splitlines()[:2] == [f"{file}:{line}: wrong_type: no at /metrics/t" for line in (1, 3)]


def test_errors_go_into_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file.with_name("errors.ndjson")
    assert ingest(lambda seen, before: taken(4, WRONG), file, "--errors", path)[0] == 1
    assert printed(capsys)[1] == ""
    assert json.loads(path.read_bytes()) == {
        "line": 1,
        "code": "wrong_type",
        "message": "no",
        "pointer": "/metrics/t",
    }


def test_it_goes_on_where_it_was_stopped(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    errors = file.with_name("errors.ndjson")

    def stops(seen: Seen, before: int) -> Given:
        return taken(1, WRONG) if not before else Given(403, {"code": "device_not_allowed", "detail": "not yours"})

    code, _ = ingest(stops, file, "--batch", "2", "--errors", errors)
    row, err = printed(capsys)
    assert (code, row) == (1, None)
    assert err.splitlines() == [
        "all up to line 2 is answered; --resume goes on behind it",
        "403 device_not_allowed: not yours",
    ]
    with scripted(all_taken) as other:  # another place has nothing of it
        assert main(["ingest", str(file), "--resume", "--url", other.url]) == 2
    assert "nothing of it is under way" in printed(capsys)[1]


def test_the_chunk_under_way_has_the_same_key_again(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = True

    def answering(seen: Seen, before: int) -> Given:
        return Given(401, {"detail": "key"}) if before == 1 and interrupt else taken(2, WRONG)

    with scripted(answering) as server:
        command = ["ingest", str(file), "--batch", "2", "--url", server.url, "--errors", str(file) + ".errors"]
        assert main(command) == 1
        interrupt = False
        assert main([*command, "--batch", "3", "--resume"]) == 2
        assert "it began with another batch" in capsys.readouterr().err
        assert main([*command, "--resume", "--output", "json"]) == 1
        keys = [request.key for request in server.seen]
        assert main([*command, "--resume"]) == 2  # it is through
    assert len(keys) == 4
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3
    assert json.loads(capsys.readouterr().out)[0] == {"accepted": 6, "rejected": 3, "chunks": 3, "last_line": 5}
    assert len(Path(f"{file}.errors").read_bytes().splitlines()) == 3


def test_a_file_that_changed_is_not_gone_on_with(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lambda seen, before: Given(401, {"detail": "key"})) as server:
        assert main(["ingest", str(file), "--url", server.url]) == 1
        file.write_bytes(b"{}\n")
        assert main(["ingest", str(file), "--url", server.url, "--resume"]) == 2
    assert "the file has changed since" in capsys.readouterr().err


def test_without_a_cache_it_says_that_it_cannot_be_resumed(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOTLINK_CACHE_DIR", str(file))
    assert ingest(lambda seen, before: Given(401, {"detail": "key"}), file)[0] == 1
    err = printed(capsys)[1].splitlines()
    assert err[0].startswith("this cannot be resumed after an interruption:")
    assert err[1] == "all up to line 0 is answered"


def test_an_interruption_says_how_to_go_on(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.ingest.Pusher.push", interrupted)
    assert ingest(all_taken, file)[0] == 130
    assert "all up to line 0 is answered; --resume goes on behind it" in printed(capsys)[1]


def test_waiting_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answering(seen: Seen, before: int) -> Given:
        return all_taken(seen, before) if before else Given(503, {"code": "draining"}, {"Retry-After": "0"})

    assert ingest(answering, file)[0] == 0
    assert printed(capsys)[1] == "503 draining: Service Unavailable; again in 0.0 s\n"


def test_a_terminal_has_a_bar(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", shown := Terminal())

    def answering(seen: Seen, before: int) -> Given:
        return Given(503, {"detail": "full"}, {"Retry-After": "0"}) if before == 0 else taken(1, WRONG)

    assert ingest(answering, file, "--errors", file.with_name("e"))[0] == 1
    assert "1 accepted, 1 rejected" in shown.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["missing.csv"],
        ["in.ndjson", "--format", "xml"],
        ["in.ndjson", "--url", "nowhere"],
        ["in.ndjson", "--batch", "0"],
        ["in.ndjson", "--key", "a", "--key-env", "B"],
        ["in.ndjson", "--key-env", "NOT_SET_ANYWHERE"],
        ["in.ndjson", "--key", "a\nb"],
        ["in.ndjson", "--resume"],
        ["in.ndjson", "--errors", "nowhere/errors"],
        ["-", "--resume"],
    ],
)
def test_wrong_usage_of_ingest_is_2(arguments: list[str], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", *arguments]) == 2
    assert capsys.readouterr().out == ""
