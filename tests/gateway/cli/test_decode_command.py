from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.decode import BadInput, FrameReader, decode_lines, parse_line, read_lines
from tests.decoders.sensor import ACK, LOGIN, NOON_MS, SPEC, STATUS, loaded, write_product

READER = FrameReader(loaded())
ANSWER_KEYS = {"ok", "product", "message", "device_id", "values", "records", "replies", "violations"}


def line(text: str | bytes, reader: FrameReader = READER) -> dict[str, Any]:
    answer = json.loads(reader.read_line(text.encode() if isinstance(text, str) else text, NOON_MS))
    assert isinstance(answer, dict)
    return answer


def run(specs: Path, *arguments: str) -> int:
    return main(["decode", "sensor", "--specs", str(specs), *arguments])


# Lines


def test_hex_becomes_an_answer() -> None:
    answer = line(STATUS.hex())
    assert answer.keys() == ANSWER_KEYS
    assert (answer["ok"], answer["message"], answer["device_id"]) == (True, "status", None)
    assert answer["values"]["temperature"] == 26.3
    assert answer["replies"] == [ACK.hex()]
    assert line(STATUS.hex(" ").upper() + "\r")["ok"]


def test_json_carries_what_a_session_knows() -> None:
    request = {
        "hex": STATUS.hex(), "port": 10, "variant": "coarse", "session": {"device_id": "d-1", "zone": "+08:00", "n": 5},
        "received_at": "2026-03-01T12:00:00Z", "whatever": 1,
    }  # fmt: skip
    parsed = parse_line(json.dumps(request).encode())
    context = parsed.context()
    assert (parsed.wire, parsed.variant, parsed.received_ms) == (STATUS, "coarse", NOON_MS)
    assert (context.device_id, context.port, context.zone_s, context.values) == ("d-1", 10, 28800, {"n": 5})
    answer = line(json.dumps(request))
    assert answer["device_id"] == answer["records"][0]["device_id"] == "d-1"
    assert answer["values"]["temperature"] == 263


def test_text_may_be_given_instead_of_hex() -> None:
    assert parse_line(b'{"text": "*HQ,1#"}').wire == b"*HQ,1#"


def test_a_time_may_be_a_number_of_milliseconds() -> None:
    assert parse_line(b'{"hex": "00", "received_at": %d}' % NOON_MS).received_ms == NOON_MS


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "zz", "a5f", "{", "{}", "[]", '"a5"', "null", '{"hex": 5}', '{"hex": "xx"}',
        '{"hex": "a5", "port": "x"}', '{"hex": "a5", "session": []}', '{"hex": "a5", "session": {"device_id": 5}}',
        '{"hex": "a5", "session": {"zone": "east"}}', '{"hex": "a5", "session": {"zone_s": "x"}}',
        '{"hex": "a5", "received_at": "noon"}', '{"hex": "a5", "received_at": []}', '{"hex": "a5", "variant": "fine"}',
        '{"text": "\\ud800"}', b"\xff\xfe", b'{"hex": "\xff"}', "a5\x00",
    ],
)  # fmt: skip
def test_a_bad_line_gets_its_answer(text: str | bytes) -> None:
    answer = line(text)
    assert answer["ok"] is False
    assert answer["error"]["code"] == "bad_input"
    assert answer["error"]["detail"]
    assert answer["values"] == {}


def test_a_wrong_frame_has_the_decoders_code() -> None:
    answer = line(STATUS[:-1].hex())
    assert answer["error"] == {
        "code": "truncated", "offset": 12, "field": "", "detail": "need at least 13 bytes, have 12",
    }  # fmt: skip


def test_a_fault_of_ours_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FrameReader(loaded())

    def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(reader.preview(""), "read", broken, raising=False)
    monkeypatch.setattr("gateway.pipeline.preview.Preview.read", broken)
    assert line(STATUS.hex(), reader)["error"] == {
        "code": "internal_error", "offset": None, "field": "", "detail": "ZeroDivisionError: oh",
    }  # fmt: skip


def test_integers_of_any_size_and_broken_text_can_be_said() -> None:
    spec = (
        "product: p\nmessages: {m: {fields: [{name: a, type: u64, scale: 1000},"
        " {name: b, type: text, bytes: 2, encoding: utf-16be}]}}"
    )
    reader = FrameReader(loaded(spec, "source: s\ncases: []\n"))
    answer = line("ff" * 8 + "0041", reader)
    assert answer["values"]["a"] == (2**64 - 1) * 1000
    assert answer["records"][0]["metrics"]["a"] == str((2**64 - 1) * 1000)


# Streams of lines


class Pieces(io.RawIOBase):
    """Gives what a pipe would: one piece a read."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read1(self, _size: int = -1) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"a\nb\n",), [b"a", b"b"]),
        ((b"a\nb",), [b"a", b"b"]),
        ((b"a", b"b", b"\n", b"c\n"), [b"ab", b"c"]),
        ((b"\n\n",), [b"", b""]),
        ((b"a\r\n",), [b"a\r"]),
        ((), []),
        ((b"a\nb", b"c\nd", b"\n"), [b"a", b"bc", b"d"]),
    ],
)
def test_lines_are_found_however_they_arrive(pieces: tuple[bytes, ...], lines: list[bytes]) -> None:
    assert [found for read in read_lines(Pieces(*pieces)) for found in read] == lines  # type: ignore[arg-type]


def test_a_line_without_end_is_cut_off_and_answered_once() -> None:
    piece = b"a" * (1 << 20)
    reads = list(read_lines(Pieces(*[piece] * 9, b"a\n", b"b\n")))  # type: ignore[arg-type]
    assert [len(found) for read in reads for found in read] == [5 << 20, 1]


def test_answers_are_written_after_each_read() -> None:
    out = io.BytesIO()
    flushed: list[int] = []
    out.flush = lambda: flushed.append(out.getvalue().count(b"\n"))  # type: ignore[method-assign]
    status = STATUS.hex().encode()
    decode_lines(READER, Pieces(status + b"\nzz\n" + status[:4], status[4:] + b"\n"), out)  # type: ignore[arg-type]
    assert flushed == [2, 3]
    assert [json.loads(answer)["ok"] for answer in out.getvalue().splitlines()] == [True, False, True]


def test_a_co_process_gets_each_answer_before_it_asks_again(specs: Path) -> None:
    write_product(specs)
    arguments = [sys.executable, "-m", "gateway", "decode", "sensor", "--stdin", "--specs", str(specs)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for asked, ok in ((LOGIN.hex(), True), ("nonsense", False), (json.dumps({"hex": STATUS.hex()}), True)):
            process.stdin.write(asked.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["ok"] is ok
        process.stdin.write(b"{not ended")
        process.stdin.close()
        assert json.loads(process.stdout.readline())["error"]["code"] == "bad_input"
        assert process.stdout.readline() == b""
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_many_lines_give_as_many_answers(specs: Path) -> None:
    write_product(specs)
    arguments = [sys.executable, "-m", "gateway", "decode", "sensor", "--stdin", "--specs", str(specs)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    data = f"{STATUS.hex()}\n\nxx\n".encode() * 5000
    done = subprocess.run(arguments, input=data, capture_output=True, env=environment, timeout=100, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == 15_000
    assert [json.loads(answer)["ok"] for answer in answers[:6]] == [True, False, False] * 2
    assert set(answers[::3]) == {answers[0]}


# One frame


def test_one_frame_as_json(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert run(specs, STATUS.hex(), "--session", "device_id=d-1", "--output", "json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == ANSWER_KEYS
    assert answer["device_id"] == "d-1"


def test_explain_shows_every_field(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert run(specs, STATUS.hex(), "--explain", "--output", "json") == 0
    fields = json.loads(capsys.readouterr().out)["fields"]
    assert fields[3] == {"path": "temperature", "offset": 3, "size": 2, "hex": "0107", "raw": 263, "value": 26.3}
    assert run(specs, STATUS.hex(), "--explain", "--output", "table") == 0
    text = capsys.readouterr().out
    assert ["3", "2", "0107", "temperature", "263", "26.3"] in [row.split() for row in text.splitlines()]
    assert "sensor status of an unknown device" in text
    assert f"reply 0: {ACK.hex()}" in text


def test_a_frame_that_cannot_be_read_shows_what_could(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = "product: sensor\nmessages: {m: {fields: [{name: a, type: u8}, {name: b, type: u32}]}}\n"
    write_product(specs, spec, None)
    assert run(specs, "0701", "--explain", "--output", "table") == 1
    shown = capsys.readouterr()
    assert ["0", "1", "07", "a", "7", "7"] in [row.split() for row in shown.out.splitlines()]
    assert ["1", "1", "01", "b", "!", "truncated:", "needs", "4", "bytes,", "1", "left"] in [
        row.split() for row in shown.out.splitlines()
    ]
    assert shown.err.splitlines() == [
        "truncated at byte 1 in b: needs 4 bytes, 1 left",
        "there: 01",
        "row: specs/sensor/spec.yaml:2:46: messages.m.fields[1]",
    ]
    assert run(specs, "0701", "--explain", "--json") == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["hex"], error["row"]) == ("01", "specs/sensor/spec.yaml:2:46: messages.m.fields[1]")
    assert run(specs, "0701") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["values"] == {"a": 7}
    assert answer["error"]["field"] == "b"


def test_options_reach_the_decoder(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = """\
product: sensor
messages:
  five: {when: {port: 5}, fields: [{name: time, type: ymdhms}], replies: [{text: "{now:%H:%M}"}]}
  other: {fields: [{name: body, type: text, bytes: rest}]}
variants: {short: {messages: {other: {fields: [{name: body, type: text, bytes: 3}]}}}}
"""
    write_product(specs, spec, None)

    def answer(*arguments: str) -> Any:
        assert run(specs, *arguments) == 0
        return json.loads(capsys.readouterr().out)

    five = answer("1a0301080000", "--port", "5", "--session", "zone=+08:00", "--at", "2026-03-01T12:34:00Z")
    assert five["values"]["time"] == "2026-03-01T00:00:00.000Z"
    assert bytes.fromhex(five["replies"][0]) == b"20:34"
    assert answer("abc", "--text", "--variant", "short")["values"] == {"body": "abc"}


def test_hex_from_stdin(specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_product(specs)
    monkeypatch.setattr("sys.stdin", io.StringIO(STATUS.hex() + "\n"))
    assert run(specs, "-") == 0
    assert json.loads(capsys.readouterr().out)["message"] == "status"


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["zz"], [STATUS.hex(), "--stdin"], [STATUS.hex(), "--variant", "fine"],
        [STATUS.hex(), "--at", "noon"], [STATUS.hex(), "--session", "device_id"],
        [STATUS.hex(), "--session", "zone=east"],
    ],
)  # fmt: skip
def test_wrong_usage_is_2(arguments: list[str], specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, SPEC)
    assert run(specs, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err


def test_bad_input_names_itself() -> None:
    with pytest.raises(BadInput, match=r"no variant `corse` \(did you mean `coarse`\?\)"):
        READER.preview("corse")
