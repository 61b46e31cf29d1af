from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gateway.cli import main
from tests.decoders.sensor import ACK, STATUS, write_product

VALUES = {"temperature": 26.3, "door_open": True, "mode": 2, "time": "2026-03-01T12:00:00.000Z", "serial": 1}
TEXT = """\
product: talker
source: made for this test
frame: {format: text, start: "*T,", split: ",", stop: "#"}
messages:
  hello: {fields: [{name: id, type: text, identity: device}, {name: level, type: number, scale: 0.1}]}
  note: {downlink: true, json: true, frame: none, fields: [{name: x, type: u8}]}
"""


def run(specs: Path, *arguments: str, product: str = "sensor") -> int:
    return main(["encode", product, *arguments, "--specs", str(specs)])


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    write_product(tmp_path)
    write_product(tmp_path, TEXT, None, "talker")
    return tmp_path


def test_the_frame_of_an_uplink_and_of_a_downlink(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(specs, "status", "--values", json.dumps(VALUES)) == 0
    assert run(specs, "ack", "--values", '{"serial": 1}') == 0
    found = capsys.readouterr()
    assert found.out.split() == [STATUS.hex(), ACK.hex()]
    assert found.err == ""


def test_values_from_a_file_from_stdin_and_from_decode(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["decode", "sensor", STATUS.hex(), "--output", "json", "--specs", str(specs)]) == 0
    answer = capsys.readouterr().out
    (specs / "values.json").write_text(answer, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(VALUES)))
    assert run(specs, "status", "--values", str(specs / "values.json")) == 0
    assert run(specs, "status", "--values", "-") == 0
    assert capsys.readouterr().out.split() == [STATUS.hex()] * 2


def test_a_text_frame_is_printed_as_text(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(specs, "hello", "--values", '{"id": "7", "level": 1.5}', product="talker") == 0
    assert capsys.readouterr().out == "*T,7,15#\n"
    assert run(specs, "hello", "--values", '{"id": "7", "level": 1.5}', "--output", "json", product="talker") == 0
    assert json.loads(capsys.readouterr().out) == {
        "product": "talker",
        "message": "hello",
        "kind": "frame",
        "hex": b"*T,7,15#".hex(),
        "text": "*T,7,15#",
    }


def test_a_variant_has_values_of_its_own(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"temperature": 263, "time": VALUES["time"], "serial": 1}
    assert run(specs, "status", "--variant", "coarse", "--values", json.dumps(values)) == 0
    assert capsys.readouterr().out.startswith(STATUS.hex()[:10])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["statu"], 2, "no message `statu` (did you mean `status`?)"),
        (["status", "--values", '{"temprature": 1}'], 1, "no value `temprature` (did you mean `temperature`?)"),
        (["status", "--values", '{"temperature": "warm"}'], 1, "temperature: 'warm' is no number"),
        (["status", "--values", '{"temperature": 1}'], 1, "time: has no value"),
        (["status", "--values", "[1]"], 2, "neither a JSON object nor a file"),
        (["status", "--values", "{"], 2, "not JSON"),
        (["status", "--variant", "corse"], 2, "did you mean `coarse`?"),
        (["status", "--kind", "long"], 2, "no kind of frame `long`"),
        (["status", "--zone", "Mars"], 2, "--zone"),
    ],
)
def test_mistakes(specs: Path, arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(specs, *arguments) == code
    said = capsys.readouterr().err
    assert " ".join(words.split()) in " ".join(said.replace("│", " ").split())


AWKWARD = """\
product: awkward
source: made for this test
messages:
  report:
    when: {"u8(0)": 1}
    fields:
      - {skip: 1}
      - {name: flags, type: u8, bits: {has_more: 0, mode: 1-2}}
      - {name: more, type: u8, if: has_more}
      - {name: kind, type: u8}
      - {switch: kind, cases: {1: [{name: a, type: u8}], 2: [{name: b, type: u16, scale: 0.5}]}}
  order:
    downlink: true
    frame: none
    fields: [{name: mode, type: u8, bits: {level: 0-3}}, {name: at, type: unix32}]
"""


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    write_product(tmp_path, AWKWARD, None, "awkward")
    return tmp_path


def built(specs: Path, message: str, values: dict[str, object]) -> int:
    return run(specs, message, "--values", json.dumps(values), product="awkward")


def test_what_only_the_resolution_of_a_row_takes_away_is_no_difference(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(specs, "status", "--values", json.dumps({**VALUES, "temperature": 26.34})) == 0
    assert capsys.readouterr().out.strip() == STATUS.hex()


def test_what_is_read_back_otherwise_is_an_error(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built(awkward, "order", {"level": 5, "at": "2026-03-01T12:00:00.250Z"}) == 0
    assert capsys.readouterr().out == "0569a42a40\n"
    assert built(awkward, "order", {"level": 21, "at": "2026-03-01T12:00:00Z"}) == 1
    found = capsys.readouterr()
    assert "level: wanted 21, read back 5" in found.err
    assert found.out == ""


def test_values_of_rows_that_are_not_there_are_an_error(awkward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built(awkward, "report", {"mode": 0, "more": 9, "kind": 1, "a": 7}) == 0
    assert capsys.readouterr().out == "0101090107\n"
    assert built(awkward, "report", {"has_more": False, "mode": 0, "more": 9, "kind": 1, "a": 7}) == 1
    assert "more: has a value, but its row is there only if `has_more`" in capsys.readouterr().err
    assert built(awkward, "report", {"mode": 0, "kind": 1, "a": 7, "b": 1.5}) == 1
    assert "b: has a value, but is no row of the case that `kind` = 1 is" in capsys.readouterr().err


def test_what_the_login_said(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale = """\
product: scale
source: made for this test
frame: {header: [{name: type, type: u8}, {name: length, type: u8, counts: body}]}
messages:
  login: {when: {type: 1}, record: none, fields: [{name: divisor, type: u8, session: keep}]}
  data:
    when: {type: 2}
    fields: [{name: raw, type: u16, hidden: true}, {name: level, formula: raw / divisor}, {name: time, type: ymdhms}]
"""
    write_product(specs, scale, None, "scale")
    values = json.dumps({"level": 2.5, "time": "2026-03-01T12:00:00Z"})
    told = ("--session", "divisor=10", "--session", "zone=+01:00")
    assert run(specs, "data", "--values", values, *told, product="scale") == 0
    assert capsys.readouterr().out == "020800191a03010d0000\n"
    assert run(specs, "data", "--values", values, product="scale") == 1
    assert "level" in capsys.readouterr().err
    assert run(specs, "data", "--values", values, "--session", "divisor", product="scale") == 2


def test_times_that_count_from_the_arrival(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = "{name: age, type: u16, hidden: true}, {name: time, formula: received - age, clock: unix}"
    text = f"product: late\nsource: made for this test\nmessages: {{m: {{fields: [{row}]}}}}\n"
    write_product(specs, text, None, "late")
    values = ("m", "--values", '{"time": "2026-03-01T11:59:00.000Z"}')
    assert run(specs, *values, "--at", "2026-03-01T12:00:00Z", product="late") == 0
    assert capsys.readouterr().out == "003c\n"
    assert run(specs, *values, "--at", "noon", product="late") == 2
    assert "`noon` is no time" in capsys.readouterr().err
