from __future__ import annotations

import pytest

from decoders.errors import SpecError
from decoders.golden import GoldenBuild, parse_golden
from decoders.golden_builds import run_build
from decoders.spec.source import load
from decoders.trial import try_product
from tests.decoders.sensor import ACK, GOLDEN, loaded
from tests.decoders.specs import product

SPEC = """
zone: "+01:00"
frames:
  short: {header: [{name: start, const: "01"}, {name: type, type: u8}]}
  long: {header: [{name: start, const: "02"}, {name: type, type: u8}, {name: size, type: u16, counts: body}]}
messages:
  set:
    downlink: true
    when: {type: 7}
    fields:
      - {name: interval, type: u16, scale: 10, unit: s}
      - {name: at, type: hms}
      - {name: mode, type: u8, bits: {level: 0-3}}
variants: {fine: {messages: {set: {fields: {interval: {scale: 1}}}}}}
"""
VALUES = {"interval": 60, "at": "2026-03-01T12:00:00Z", "level": 5}


def differences(**keys: object) -> list[str]:
    build = GoldenBuild.model_validate({"name": "b", "message": "set", "values": VALUES, **keys})
    compiled = product(SPEC)
    fine = SPEC.replace("scale: 10", "scale: 1")
    compiled.variants["fine"] = product(fine[: fine.index("variants:")])
    return [str(difference) for difference in run_build(compiled, build)]


@pytest.mark.parametrize(
    "keys",
    [
        {"hex": "010700060d000005"},
        {"hex": "010700060d000005", "frame": "short"},
        {"hex": "0207000600060d000005", "frame": "long"},
        {"hex": "01070006 0c000005", "zone": "UTC"},
        {"hex": "0107003c0d000005", "variant": "fine"},
        {"text": "\x01\x07\x00\x06\r\x00\x00\x05"},
    ],
)
def test_what_is_built_as_it_should_be(keys: dict[str, object]) -> None:
    assert differences(**keys) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"hex": "010700070d000005"}, "hex from byte 3: expected '010700070d000005', found '010700060d000005'"),
        ({"hex": "0107"}, "hex from byte 2: expected '0107', found"),
        ({"text": "x"}, "text from 0: expected 'x', found"),
        ({"hex": "00", "frame": "other"}, "message: expected 'a frame of `set`', found 'short, long'"),
        ({"hex": "00", "values": {"intervall": 1}}, "intervall: expected 'a value of the message', found 'no row"),
        ({"hex": "00", "values": {"interval": 60}}, "at: has no value"),
        ({"hex": "010700060d000005", "values": {**VALUES, "level": 21}}, "level: expected 21, found 5"),
    ],
)
def test_what_differs(keys: dict[str, object], said: str) -> None:
    (found,) = differences(**keys)
    assert said in found


def test_a_trial_builds_too() -> None:
    good = f"builds: [{{name: answer, message: ack, values: {{serial: 1}}, hex: {ACK.hex()}}}]\n"
    trial = try_product(loaded(golden=GOLDEN + good))
    assert trial.ok
    assert (trial.cases, trial.passed) == (6, 6)
    trial = try_product(loaded(golden=GOLDEN + good.replace("serial: 1", "serial: 2")))
    assert (trial.cases, trial.passed) == (6, 5)
    (failure,) = trial.failures
    assert (failure.case, failure.codec) == ("answer", "building")
    assert failure.place == f"sensor/golden/made.yaml:{GOLDEN.count(chr(10)) + 1}"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ("{name: a, message: akc, hex: '01'}", "builds[0].message: no message `akc` (did you mean `ack`?)"),
        ("{name: a, message: ack, variant: corse, hex: '01'}", "no variant `corse` (did you mean `coarse`?)"),
        ("{name: login, message: ack, hex: '01'}", "two cases are called `login`"),
        ("{name: a, message: ack}", "exactly one of `hex` and `text`"),
        ("{name: a, message: ack, hex: '01', zone: Mars}", "a zone is"),
    ],
)
def test_mistakes(build: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        loaded(golden=f"{GOLDEN}builds: [{build}]\n")
    assert said in str(caught.value)


def test_a_golden_file_may_have_builds_alone() -> None:
    file = parse_golden(load("source: s\nbuilds: [{name: a, message: m, hex: '01'}]", "g.yaml"))
    assert (file.cases, len(file.builds)) == ([], 1)
    with pytest.raises(SpecError, match="`cases`, or `builds`"):
        parse_golden(load("source: s", "g.yaml"))


def test_a_time_that_counts_from_the_arrival() -> None:
    time = "{name: time, formula: received - age, clock: unix}"
    compiled = product(f"messages: {{m: {{fields: [{{name: age, type: u16, hidden: true}}, {time}]}}}}")
    keys = {"name": "b", "message": "m", "values": {"time": "2026-03-01T11:59:00.000Z"}, "hex": "003c"}
    build = GoldenBuild.model_validate({**keys, "received_at": "2026-03-01T12:00:00Z"})
    assert run_build(compiled, build) == []
    with pytest.raises(ValueError, match="a time is such as"):
        GoldenBuild.model_validate({**keys, "received_at": "noon"})
