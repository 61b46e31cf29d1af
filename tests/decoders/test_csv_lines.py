"""CSV of a product: columns to values, lines that name the columns, and lines that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.catalog import build_product
from decoders.compile import compile_spec
from decoders.csv_lines import HEADER
from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.framing.framer import Framer
from decoders.plan import Decoded
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.trial import try_product
from decoders.types import SessionContext
from tests.decoders.specs import product

FRAME = 'frame: {format: csv, until: "\\n", csv: {columns: [id, time, temperature, "-", state, door]}}\n'
MESSAGE = """
messages:
  reading:
    csv: true
    fields:
      - {name: id, type: text, identity: device}
      - {name: time, type: unix32}
      - {name: temperature, type: i16, unit: "°C", range: [-40, 85]}
      - {name: state, type: u8, enum: {0: off, 1: on}}
      - {name: flags, type: u8, bits: {door: 0}}
      - {name: fahrenheit, formula: temperature * 9 / 5 + 32}
"""
SPEC = FRAME + MESSAGE


def decode(line: str | bytes, text: str = SPEC, context: SessionContext | None = None) -> Decoded:
    wire = line.encode() if isinstance(line, str) else line
    return product(text).read(wire + b"\n", context or SessionContext())


def refused(line: str | bytes, text: str = SPEC, context: SessionContext | None = None) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(line, text, context)
    return caught.value


def test_a_line_is_a_message() -> None:
    found = decode('0042,2026-03-01T12:00:00Z,20.5,"ignored, really",on,yes\r')
    assert found.message.name == "reading"
    assert found.values == {
        "id": "0042",
        "time": "2026-03-01T12:00:00.000Z",
        "temperature": 20.5,
        "state": "on",
        "door": True,
        "fahrenheit": 68.9,
    }
    identity = product(SPEC).identity(found)
    assert identity is not None
    assert identity.device_id == "0042"
    [part] = product(SPEC).parts(found)
    assert (part.metrics["temperature"], part.device_time) == (20.5, "2026-03-01T12:00:00.000Z")


def test_nothing_between_commas_is_no_value() -> None:
    found = decode("0042,, ,x,,")
    assert found.values == {"id": "0042"}
    assert {(item.field, item.code.value) for item in found.violations or ()} == {("fahrenheit", "formula_failed")}


def test_the_contract_holds() -> None:
    found = decode("0042,1772366400,warm,,off,0")
    assert "temperature" not in found.values
    assert ("temperature", "wrong_type") in {(item.field, item.code.value) for item in found.violations or ()}
    found = decode("0042,1772366400,99,,broken,0")
    assert {item.field for item in found.violations or ()} == {"temperature", "state"}


@pytest.mark.parametrize(
    ("line", "cell"),
    [('"a ""b"", c"', 'a "b", c'), ("a b", "a b"), ('""', None), ("  a  ", "a"), ("'a'", "'a'"), ("007", "007")],
)
def test_cells_are_quoted_as_in_rfc_4180(line: str, cell: str | None) -> None:
    text = (
        'frame: {format: csv, until: "\\n", csv: {columns: [a, b]}}\n'
        "messages: {m: {csv: true, fields: [{name: a}, {name: b}]}}"
    )
    assert decode(f"{line},5", text).values == ({"b": 5} if cell is None else {"a": cell, "b": 5})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,b", "the line has 2 columns, 6 are expected"),
        ("a,b,c,d,e,f,g", "the line has 7 columns, 6 are expected"),
        ('a,b,c,d,e,"f', "not CSV"),
        ('a,b,c,d,e,"f"g', "not CSV"),
        (b"a,\xff,c,d,e,f", "not utf-8 text"),
    ],
)
def test_lines_that_are_none(line: str | bytes, words: str) -> None:
    error = refused(line)
    assert error.code is DecodeCode.BAD_DOCUMENT
    assert words in error.detail


def test_other_delimiters_and_encodings() -> None:
    text = """
frame: {format: csv, until: "\\n", csv: {columns: [temperature, place], delimiter: ";", encoding: cp949}}
messages: {m: {csv: true, fields: [{name: temperature, type: f32}, {name: place, type: text}]}}
"""
    assert decode("21,5;서울".encode("cp949"), text).values == {"temperature": 21.5, "place": "서울"}


def test_columns_alone_make_a_message() -> None:
    text = 'frame: {format: csv, until: "\\n", csv: {columns: [device_id, time, a, b]}}\nmessages: {m: {csv: true}}'
    found = decode("d1,1772366400,5,on", text)
    assert found.values == {"device_id": "d1", "time": "2026-03-01T12:00:00.000Z", "a": 5, "b": "on"}
    [part] = product(text).parts(found)
    assert (part.metrics, part.device_time) == ({"a": 5, "b": "on"}, "2026-03-01T12:00:00.000Z")


NAMED = 'frame: {format: csv, until: "\\n"}\n' + MESSAGE


def test_the_first_line_may_name_the_columns() -> None:
    context = SessionContext()
    header = decode("\ufefftemperature,voltage,id", NAMED, context)
    assert (header.message.name, header.message.record, header.values) == (HEADER, "none", {})
    assert context.columns == ("temperature", "-", "id")
    assert decode("20,5,x1", NAMED, context).values == {"temperature": 20, "id": "x1", "fahrenheit": 68}
    assert decode("temperature,voltage,id", NAMED, context).message.name == HEADER
    assert decode("id,temperature,voltage", NAMED, SessionContext()).message.name == HEADER
    assert "2 columns, 3 are expected" in refused("20,5", NAMED, context).detail


@pytest.mark.parametrize(("line", "words"), [("20,5,x1", "none of these is a value"), ("id,id", "twice")])
def test_a_first_line_that_names_nothing(line: str, words: str) -> None:
    error = refused(line, NAMED, SessionContext())
    assert error.code is DecodeCode.BAD_DOCUMENT
    assert words in error.detail


def test_a_header_where_the_columns_are_known_is_no_data() -> None:
    context = SessionContext()
    assert decode("id,time,temperature,what,state,door", SPEC, context).message.name == HEADER
    assert context.columns == ()
    assert decode("", SPEC).message.name == HEADER
    assert decode("  \r", SPEC).message.name == HEADER


def test_bodies_without_a_frame() -> None:
    compiled = product(SPEC)
    assert compiled.decode_csv(b"x1,1772366400,20,,on,1", SessionContext()).values["temperature"] == 20
    free = product(MESSAGE)
    context = SessionContext()
    assert free.decode_csv(b"id,temperature", context).message.name == HEADER
    assert free.decode_csv(b"x1,20\r\n", context).values["temperature"] == 20
    assert free.read(b"x1,21", context, text=True).values["temperature"] == 21


THREE = """
frames:
  bytes: {header: [{name: start, const: "A5"}, {name: size, type: u8, counts: body}]}
  objects: {begins: "7B", until: "0A", format: json}
  lines: {until: "\\n", begins: "20-7A", format: csv, csv: {columns: [id, temperature]}}
messages:
  both:
    json: true
    csv: true
    fields: [{name: temperature, type: i16, scale: 0.1}, {name: id, type: text, bytes: rest, identity: device}]
"""


def test_bytes_json_and_csv_on_one_connection() -> None:
    text = THREE.replace('until: "0A", format: json', 'until: "\\n", format: json')
    compiled = product(text)
    stream = bytes.fromhex("a50400c8") + b"x1" + b'{"temperature": 20, "id": "x2"}\n' + b"x3,20\n"
    found = [compiled.decode(frame, SessionContext()) for frame in Framer(compiled.framing).receive(stream)]
    assert [(item.message.name, item.values) for item in found] == [
        ("both", {"temperature": 20, "id": "x1"}),
        ("both", {"temperature": 20, "id": "x2"}),
        ("both", {"temperature": 20, "id": "x3"}),
    ]


GOLDEN = """\
source: made
cases:
  - name: good
    text: "x1,2026-03-01T12:00:00Z,20.5,,on,1\\n"
    message: reading
    values: {temperature: 20.5, door: true}
    absent: [flags]
    records: [{temperature: 20.5}]
    flags: {}
  - {name: out of range, text: "x1,1772366400,99,,on,1\\n", message: reading, flags: {temperature: out_of_range}}
  - {name: too few, text: "x1,20\\n", error: bad_document}
  - {name: cut off, text: "x1,17", message: reading, error: bad_document}
"""
UNFRAMED = """\
source: made
cases:
  - {name: json, text: '{"id": "x1", "time": 1772366400, "temperature": 20.5}', message: reading, flags: {}}
  - {name: csv, text: "x1,20.5", session: {columns: [id, temperature]}, values: {id: x1, temperature: 20.5}}
  - {name: no json, text: "{", error: bad_document}
"""


def test_golden_frames_may_be_text() -> None:
    trial = try_product(build_product("p", f"product: p\n{SPEC}", "p/spec.yaml", {"g": GOLDEN}))
    assert not trial.failures, trial.failures
    assert (trial.cases, trial.passed) == (4, 4)
    assert trial.to_plain()["kinds"] == [{"kind": "frame", "codec": "csv"}]


def test_golden_payloads_may_be_text() -> None:
    spec = f"product: p\n{MESSAGE}".replace("csv: true", "csv: true\n    json: true")
    trial = try_product(build_product("p", spec, "p/spec.yaml", {"g": UNFRAMED}))
    assert not trial.failures, trial.failures
    assert trial.passed == 3


def problems(text: str) -> list[str]:
    document = load("product: sample\n" + text, "spec.yaml")
    with pytest.raises(SpecError) as caught:
        compile_spec(validate(SpecFile, document), document)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("temperature, ", "temprature, ", "frame.csv.columns[2]: ", "did you mean `temperature`?"),
        ("temperature, ", "id, ", "frame.csv.columns[2]: ", "two columns are called `id`"),
        ("{columns", "{message: readng, columns", "frame.csv.message: ", "did you mean `reading`?"),
        ("{columns", "{values: {temprature: T}, columns", "frame.csv.values.temprature: ", "mean `temperature`?"),
        ("{columns", "{values: {id: T, time: t}, columns", "frame.csv.values.time: ", "`id` is in the same column"),
        ('{columns: [id, time, temperature, "-", state, door]', "{header: true", "frame.csv.header: ", "remove it"),
        ("format: csv, ", "", "frame.", ""),
    ],
)
def test_mistakes_are_named_with_their_place(old: str, new: str, place: str, words: str) -> None:
    (problem, *_) = problems(SPEC.replace(old, new, 1))
    assert problem.startswith("spec.yaml:2:")
    assert place in problem
    assert words in problem


def test_sentinels_stand_for_no_value() -> None:
    rows = "{name: a, type: u16, absent: 0xFFFF}, {name: b, type: i16, absent: {-999: open}}, {name: c, absent: N/A}"
    frame = 'frame: {format: csv, until: "\\n", csv: {columns: [a, b, c, d]}}\n'
    text = frame + f"messages: {{m: {{csv: true, fields: [{rows}, {{name: d, type: u8, absent: [N/A, 255]}}]}}}}"
    assert decode("65535,-999,N/A,N/A", text).values == {"b_status": "open"}
    assert decode("1,2,3,4", text).values == {"a": 1, "b": 2, "c": 3, "d": 4}


TYPED = """
frame: {format: csv, until: "\\n", csv: {columns: [id, a, b, c, d, e], delimiter: ";"}}
messages:
  m:
    csv: true
    fields:
      - {name: id, type: text}
      - {name: a, type: f64, unit: V, absent: ["NAN"]}
      - {name: b, type: i16, scale: 0.1}
      - {name: c, clock: minutes since 2000-01-01}
      - {name: d, type: ddmm, negate: "id == 'S'"}
      - {name: e, type: hexnumber, bits: {on: 0, mode: {at: 1-2, enum: {1: auto}}}}
"""


@pytest.mark.parametrize(
    ("line", "values", "flags"),
    [
        ("S;NAN;205;13763520;4807.038;", {"id": "S", "b": 20.5, "c": "2026-03-03T00:00:00.000Z", "d": -48.1173}, {}),
        ("N;2,5;-3;;04807.038;03", {"id": "N", "a": 2.5, "b": -0.3, "d": 48.1173, "on": True, "mode": "auto"}, {}),
        ("x;-;1.234,5;soon;far;zz", {"id": "x"}, {"a": 1, "b": 1, "c": 2, "d": 1, "e": 1}),
        ("x;nan;NAN;1.5;;", {"id": "x", "c": "2000-01-01T00:01:30.000Z"}, {"a": 1, "b": 1}),
    ],
)
def test_cells_of_another_type_are_no_values(line: str, values: dict[str, Any], flags: dict[str, int]) -> None:
    found = decode(line, TYPED)
    codes = {1: "wrong_type", 2: "bad_time"}
    assert found.values == values
    assert {item.field: item.code.value for item in found.violations or ()} == {
        name: codes[code] for name, code in flags.items()
    }


TITLED = """
frame:
  format: csv
  until: "\\n"
  csv: {COLUMNSvalues: {device_id: Station, temperature: Temp (C), time: Timestamp}}
messages: {m: {csv: true, fields: [{name: temperature, type: f64}, {name: time, type: unix32}]}}
"""
FIRST = "Station, Timestamp ,TEMP  (c),Wind"


def test_columns_may_have_the_names_of_the_vendor() -> None:
    context = SessionContext()
    text = TITLED.replace("COLUMNS", "")
    assert decode(FIRST, text, context).message.name == HEADER
    assert context.columns == ("device_id", "time", "temperature", "-")
    found = decode("d1,1772366400,20.5,3", text, context)
    assert found.values == {"device_id": "d1", "time": "2026-03-01T12:00:00.000Z", "temperature": 20.5}
    assert decode(FIRST, text, context).message.name == HEADER


def test_a_header_is_known_by_the_names_of_the_vendor_where_columns_are_given() -> None:
    text = TITLED.replace("COLUMNS", 'columns: [device_id, time, temperature, "-"], ')
    assert decode(FIRST, text).message.name == HEADER
    assert decode("d1,1772366400,20.5,3", text).values["temperature"] == 20.5


HEADED = """
frame: {format: csv, until: "\\n", csv: {columns: [id, temperature, time], header: true}}
messages:
  m:
    csv: true
    fields: [{name: id}, {name: temperature, type: f64, absent: NAN}, {name: time, clock: YYYY-MM-DD hh:mm}]
"""


@pytest.mark.parametrize(
    ("line", "is_header"),
    [
        ("Station,Temp (C),Time", True),
        ("d1,20.5,", False),
        ("d1,NAN,", False),
        ("d1,,2026-03-01 12:00", False),
        ("d1,warm,soon", True),
    ],
)
def test_the_first_line_may_be_no_data(line: str, is_header: bool) -> None:
    context = SessionContext()
    assert (decode(line, HEADED, context).message.name == HEADER) is is_header
    found = decode("d1,warm,soon", HEADED, context)  # no first line any more
    assert {item.code.value for item in found.violations or ()} == {"wrong_type", "bad_time"}


def test_a_line_is_one_message() -> None:
    two = FRAME + "messages: {a: {csv: true, fields: [{name: id}]}, b: {csv: true, fields: [{name: id}]}}"
    assert "2 messages come as CSV" in problems(two)[0]
    assert "say which: `message: a`" in problems(two)[0]


@given(st.text(max_size=40) | st.text(alphabet=',";0.5\n ae-', max_size=30))
def test_any_line_is_read_or_refused(line: str) -> None:
    for text in (SPEC, NAMED):
        try:
            found = product(text).decode_csv(line.encode("utf-8", "surrogatepass"), SessionContext())
        except DecodeError:
            continue
        product(text).parts(found)
