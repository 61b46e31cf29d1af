"""Several lines of CSV in one payload: each is a record."""

from __future__ import annotations

import pytest

from decoders.csv_payload import MAX_LINES
from decoders.errors import DecodeCode, DecodeError
from decoders.plan import Decoded
from decoders.types import SessionContext
from tests.decoders.specs import product

MESSAGE = """
messages:
  m:
    csv: true
    fields:
      - {name: id, type: text, identity: device}
      - {name: time, type: unix32}
      - {name: temperature, type: f64, unit: "°C", range: [-40, 85]}
"""
FRAMED = 'frame: {format: csv, until: "\\n", csv: {columns: [id, time, temperature]}}\n' + MESSAGE


def read(text: str, spec: str = FRAMED, context: SessionContext | None = None) -> Decoded:
    return product(spec).read(text.encode(), context or SessionContext(), text=True)


def test_each_line_is_a_record() -> None:
    found = read("d1,1772366400,20\r\n\nd1,1772366460,99\nd1,,warm")
    assert found.message.name == "m"
    assert [item.get("temperature") for item in found.values["lines"]] == [20, 99, None]
    assert {item.field: item.code.value for item in found.violations or ()} == {
        "lines[1].temperature": "out_of_range",
        "lines[2].temperature": "wrong_type",
    }
    compiled = product(FRAMED)
    parts = compiled.parts(found)
    assert [part.metrics for part in parts] == [{"temperature": 20}, {"temperature": 99}, {}]
    assert [part.device_time for part in parts] == ["2026-03-01T12:00:00.000Z", "2026-03-01T12:01:00.000Z", ""]
    assert [[flag.field for flag in part.flags or ()] for part in parts] == [[], ["temperature"], ["temperature"]]
    identity = compiled.identity(found)
    assert identity is not None
    assert identity.device_id == "d1"
    assert found.message is read("d1,,1\nd1,,2\n").message  # one plan for all payloads


def test_lines_of_several_devices() -> None:
    found = read("d1,,1\nd2,,2\n")
    assert product(FRAMED).identity(found) is None
    identities = [part.identity for part in product(FRAMED).parts(found)]
    assert [identity.device_id for identity in identities if identity] == ["d1", "d2"]


def test_the_first_line_names_the_columns_of_the_others() -> None:
    context = SessionContext()
    found = read("temperature,id\n20,d1\n21,d1\n", MESSAGE, context)
    assert [part.metrics for part in product(MESSAGE).parts(found)] == [{"temperature": 20}, {"temperature": 21}]
    assert product(MESSAGE).decode_csv(b"5,d1\n6,d1", context).values["lines"][1]["temperature"] == 6
    assert read("id,time,temperature\nid,time,temperature\n").message.record == "none"


def test_one_line_is_a_message_as_ever() -> None:
    assert read("d1,,1\n").values == {"id": "d1", "temperature": 1}
    assert read("d1,,1").values == {"id": "d1", "temperature": 1}


def test_what_is_wrong_names_its_line() -> None:
    with pytest.raises(DecodeError) as caught:
        read("d1,,1\nd1,1\n")
    assert caught.value.code is DecodeCode.BAD_DOCUMENT
    assert "line 2: the line has 2 columns" in str(caught.value)
    with pytest.raises(DecodeError) as caught:
        read("d1,,1\n" * (MAX_LINES + 1))
    assert caught.value.code is DecodeCode.TOO_MANY_ITEMS


def test_lines_within_marks_stay_frames() -> None:
    with pytest.raises(DecodeError) as caught:
        read("$d1,,1\n$d1,,2\n", FRAMED.replace("until:", 'start: "$", until:'))
    assert caught.value.code is DecodeCode.TRAILING_BYTES
