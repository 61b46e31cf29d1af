"""Registered Python types: what they may give, and that both codecs call them alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from decoders import custom
from decoders.errors import DecodeCode, DecodeError, EncodeError, SpecError
from decoders.prove import prove
from tests.decoders.specs import golden, product, read


def _echo(data: bytes, values: Mapping[str, int | str]) -> Any:
    return {"data": data.hex(), "values": dict(values)}


def _cipher(data: bytes, values: Mapping[str, int | str]) -> bytes:
    return bytes(byte ^ int(values["salt"]) for byte in data)


def _faulty(data: bytes, _values: Mapping[str, int | str]) -> Any:
    match data[:1]:
        case b"\1":
            raise KeyError("no such thing")
        case b"\2":
            return {"deep": [[[[[[[[[1]]]]]]]]]}
        case b"\3":
            return object()
        case b"\4":
            return ["x" * 600_000, "y" * 600_000]
        case b"\5":
            return {"not a number": float("nan")}
        case b"\6":
            return {5: "a key"}
        case b"\7":
            return list(range(20_000))
        case b"\10":
            return 1 << 70
    return None


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    before = custom.names()
    custom.register("test_echo", _echo)
    custom.register("test_cipher", _cipher)
    custom.register("test_faulty", _faulty)
    yield
    for name in set(custom.names()) - set(before):
        del custom._functions[name]


ECHO = """
fields:
  - {name: kind, type: u8}
  - {name: label, type: text, bytes: 2}
  - {name: wide, type: u16, if: kind == 1}
  - {name: payload, type: "python:test_echo", bytes: 2}
  - {name: tail, type: u8}
"""


def test_a_row_gets_its_bytes_and_the_raw_values_before_it() -> None:
    values = read(product(ECHO), "01 4142 0102 aabb 07")
    payload = values["payload"]
    assert payload == {"data": "aabb", "values": {"kind": 1, "label": "AB", "wide": 258, "port": 0}}
    assert values["tail"] == 7


def test_what_was_not_read_is_not_among_the_values() -> None:
    assert "wide" not in read(product(ECHO), "02 4142 aabb 07")["payload"]["values"]


def test_an_object_becomes_several_metrics() -> None:
    compiled = product('fields: [{name: a, type: "python:test_echo"}]')
    values = read(compiled, "aa")
    parts = compiled.messages["uplink"].parts(values, None)
    assert parts[0].metrics == {"a.data": "aa", "a.values.port": 0}


CIPHER = """
fields:
  - {name: salt, type: u8}
  - group: null
    encoded: "python:test_cipher"
    bytes: 3
    fields: [{name: temperature, type: i16, scale: 0.1}, {name: level, type: u8}]
  - {name: end, type: u8}
"""


def test_a_group_reads_the_bytes_that_a_function_makes() -> None:
    assert read(product(CIPHER), "ff fef9 9b 05") == {"salt": 255, "temperature": 26.2, "level": 100, "end": 5}


def test_both_codecs_agree_on_changed_frames() -> None:
    for text, frame in ((ECHO, "0141420102aabb07"), (CIPHER, "fffef99b05")):
        report = prove(product(text), [golden(frame)])
        assert report.holds, report.kinds
        assert not report.kinds[0].others


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("01", DecodeCode.BAD_VALUE),
        *((f"{number:02x}", DecodeCode.WRONG_ANSWER) for number in range(2, 9)),
    ],
)
def test_a_function_that_fails_is_a_decoding_error(first: str, code: DecodeCode) -> None:
    compiled = product('fields: [{name: before, type: u8}, {name: a, type: "python:test_faulty"}]')
    with pytest.raises(DecodeError) as caught:
        read(compiled, f"05{first}00")
    assert caught.value.code is code
    assert caught.value.field == "a"
    assert caught.value.values == {"before": 5}


def test_no_result_is_no_value() -> None:
    assert read(product('fields: [{name: a, type: "python:test_faulty"}]'), "09") == {}


def test_an_encoding_gives_bytes() -> None:
    with pytest.raises(DecodeError, match="instead of bytes"):
        read(product('fields: [{group: null, encoded: "python:test_echo", fields: [{name: a, type: u8}]}]'), "09")


def test_an_unknown_name_is_a_problem_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match="did you mean `python:test_echo`"):
        product('fields: [{name: a, type: "python:tst_echo"}]')
    with pytest.raises(SpecError, match="no registered Python type `zzz`"):
        product('fields: [{group: null, encoded: "python:zzz", fields: [{name: a, type: u8}]}]')


def test_a_function_that_could_not_be_loaded_says_why() -> None:
    custom.unavailable("test_lost", "ImportError: no module")
    with pytest.raises(SpecError, match="could not be loaded: ImportError: no module"):
        product('fields: [{name: a, type: "python:test_lost"}]')


def test_a_name_is_a_name() -> None:
    with pytest.raises(ValueError, match="is no name"):
        custom.register("Not A Name", _echo)


def test_rows_of_code_cannot_be_built() -> None:
    compiled = product('fields: [{name: a, type: "python:test_echo"}]')
    with pytest.raises(EncodeError):
        compiled.encoders[0, "uplink"].encode({"a": 1})
