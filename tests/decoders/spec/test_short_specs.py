"""A spec with rows at its top: one message, and ten lines for a payload of six fields."""

from __future__ import annotations

import pytest

from decoders.catalog import LoadedProduct, build_product
from decoders.compile import compile_spec
from decoders.errors import SpecError
from decoders.framing.framer import cut
from decoders.spec.lint import lint
from decoders.spec.model import SpecFile
from decoders.spec.row_walk import all_rows
from decoders.spec.show import layout_rows
from decoders.spec.source import load, validate
from decoders.trial import try_product
from decoders.types import SessionContext
from tests.decoders.specs import product, read

SPEC = """\
product: acme_meadow
title: Soil station
source: Meadow payload format, revision 2
fields:
  - {name: protocol, type: u8, metric: false}
  - {name: battery_voltage, type: u16, scale: 0.001, unit: V}
  - {name: temperature, type: i16, scale: 0.01, unit: "°C", range: [-40, 85]}
  - {name: humidity, type: u8, scale: 0.5, unit: "%RH"}
  - {name: soil_moisture, type: u16, scale: 0.1, unit: "%", absent: 0xFFFF}
  - {name: flags, type: u8, bits: {tamper: 0, rain: 1}}
"""
GOOD = "010ce4089c64012c02"
GOLDEN = f"""\
source: made for this test
cases:
  - name: uplink
    hex: {GOOD}
    message: uplink
    values: {{battery_voltage: 3.3, temperature: 22.04, humidity: 50, soil_moisture: 30, tamper: false, rain: true}}
    records: [{{temperature: 22.04}}]
    flags: {{}}
  - {{name: cut off, hex: 010ce4, message: uplink, error: truncated}}
  - {{name: too long, hex: {GOOD}00, message: uplink, error: trailing_bytes}}
"""


def meadow(spec: str = SPEC, golden: str = GOLDEN) -> LoadedProduct:
    return build_product("acme_meadow", spec, "acme_meadow/spec.yaml", {"acme_meadow/golden/a.yaml": golden})


def problems(text: str) -> list[str]:
    document = load(text, "spec.yaml")
    with pytest.raises(SpecError) as caught:
        compile_spec(validate(SpecFile, document), document)
    return [str(problem) for problem in caught.value.problems]


def test_six_fields_are_ten_lines() -> None:
    assert len(SPEC.splitlines()) == 10
    trial = try_product(meadow())
    assert trial.ok, trial.to_plain()
    assert (trial.cases, trial.passed) == (3, 3)
    plain = trial.to_plain()
    assert (plain["messages"], plain["fused"]) == (1, 1)
    assert lint(meadow()) == []


def test_it_is_one_message_without_a_frame() -> None:
    compiled = product(SPEC)
    assert list(compiled.messages) == list(compiled.spec.messages) == ["uplink"]
    assert compiled.spec.transports == ["mqtt", "rest"]
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(GOOD)), SessionContext())
    assert decoded.message.name == "uplink"
    [part] = compiled.parts(decoded)
    assert part.metrics == {
        "battery_voltage": 3.3,
        "temperature": 22.04,
        "humidity": 50,
        "soil_moisture": 30,
        "tamper": False,
        "rain": True,
    }
    assert "temperature" in [row.name for row in layout_rows(compiled)]


def test_a_tag_list_may_stand_at_the_top_too() -> None:
    compiled = product(
        "items: {key: u8, tags: {1: {name: temperature, type: i16, scale: 0.1}, 2: {name: humidity, type: u8}}}"
    )
    assert read(compiled, "0100fa0232") == {"temperature": 25, "humidity": 50}
    assert [row.path for row in all_rows(compiled.spec)] == [("items", "tags", 1, 0), ("items", "tags", 2, 0)]


def test_with_a_frame_it_is_spoken_over_tcp() -> None:
    compiled = product(
        'frame: {header: [{name: start, const: "A5"}, {name: size, type: u8, counts: body}]}\n'
        "fields: [{name: a, type: u8}]"
    )
    assert compiled.spec.transports == ["tcp"]
    assert read(compiled, "a50107") == {"a": 7}


def test_errors_have_their_places_at_the_top() -> None:
    assert problems("product: a\nfields:\n  - {name: a, type: u8}\n  - {name: b, type: u9}\n")[0].startswith(
        "spec.yaml:4:21: fields[1].type: "
    )
    assert problems("product: a\nfields: [{name: a, tipe: u8}]\n")[0].startswith("spec.yaml:2:20: fields[0].tipe: ")
    assert problems("product: a\nitems: {key: u9, tags: {}}\n")[0].startswith("spec.yaml:2:14: items.key: ")


def test_one_way_of_saying_it() -> None:
    (both,) = problems("product: a\nfields: [{name: a, type: u8}]\nmessages: {m: {fields: []}}\n")
    assert "not both" in both
    (none,) = problems("product: a\ntitle: nothing\n")
    assert "at least one message" in none


def test_lint_finds_its_rows() -> None:
    found = lint(meadow(SPEC.replace("name: temperature", "name: temprature")))
    (near,) = [finding.problem for finding in found if finding.problem.code == "near_miss"]
    assert (near.line, near.path) == (7, "fields[2].name")
    found = lint(meadow(golden="source: none\ncases: []\n"))
    assert {finding.problem.code for finding in found} == {"no_good_frame", "no_truncated_frame", "no_corrupt_frame"}
