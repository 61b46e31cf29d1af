"""`items: {format: mbus}` and `dlms` in a spec: tags by key and name, both codecs alike, mistakes with their hints."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, EncodeError, SpecError
from decoders.explain import explain
from decoders.prove import prove
from decoders.types import SessionContext
from tests.decoders.metering.test_dlms import BY_PAIRS, BY_PLACE, BY_STRUCTURES
from tests.decoders.specs import golden, product, read

METER = "0413 03420000 841013 00000000 046D 0D30F62B 4413 49180000 426C FF2A 02FD17 0300 02FD74 DB15 2F2F"


def tags(text: str, more: str = "", kind: str = "mbus") -> Any:
    return product(f"{more}\nmessages: {{m: {{items: {{format: {kind}, tags: {{{text}}}}}}}}}")


def proven(compiled: Any, *frames: str) -> None:
    report = prove(compiled, [golden(frame.replace(" ", "")) for frame in frames])
    assert report.holds, report.kinds
    assert not report.kinds[0].others


def test_without_tags_every_record_has_its_readable_name() -> None:
    compiled = product("zone: +01:00\nitems: {format: mbus}")
    assert read(compiled, METER) == {
        "volume": 16.899,
        "volume_tariff_1": 0,
        "date_time": "2023-11-22T15:13:00.000Z",
        "volume_storage_1": 6.217,
        "date_storage_1": "2023-10-31",
        "error_flags": 3,
        "battery_remaining": 483_408_000,
    }
    plan = compiled.messages["uplink"]
    assert plan.record == "telemetry"
    assert plan.unit_of("volume_storage_1") == "m³"
    proven(compiled, METER)


def test_a_row_has_precedence_over_a_record_of_its_name() -> None:
    compiled = product("fields: [{name: volume, type: u8}, {items: {format: mbus}}, {name: tail, type: u8}]")
    assert read(compiled, "07 0413 03420000 0F 05") == {"volume": 7, "tail": 5}
    proven(compiled, "07 0413 03420000 0F 05")


def test_tags_by_key_and_by_name() -> None:
    compiled = tags('"0413": {name: volume}, volume_storage_1: {name: volume_month}, "84 10 13": {name: back}')
    assert read(compiled, METER) == {"volume": 16.899, "volume_month": 6.217, "back": 0}
    assert {name: compiled.messages["m"].unit_of(name) for name in ("volume", "volume_month")} == {
        "volume": "m³",
        "volume_month": "m³",
    }
    proven(compiled, METER)


def test_the_key_is_more_exact_than_the_name() -> None:
    compiled = tags('volume: {name: by_name}, "0413": {name: by_key}')
    assert read(compiled, "0413 01000000 0C13 02000000") == {"by_key": 0.001, "by_name": 0.002}


def test_of_equal_names_the_later_counts_or_both() -> None:
    frame = "0413 01000000 0413 02000000"
    assert read(tags("volume: {name: v}"), frame) == {"v": 0.002}
    assert read(tags("volume: {name: v, repeat: list}"), frame) == {"v": [0.001, 0.002]}
    assert read(tags("volume: {name: v, repeat: number}"), frame) == {"v_1": 0.001, "v_2": 0.002}
    for more in ("list", "number"):
        proven(tags(f"volume: {{name: v, repeat: {more}}}"), frame)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("{name: v, scale: 1000, unit: l}", {"v": 16899}),
        ("{name: v, offset: 1, decimals: 1}", {"v": 17.9}),
        ("{name: v, formula: x * 2 if x > 10 else 0}", {"v": 33.798}),
        ("{name: v, absent: 16899}", {}),
        ("{name: v, absent: 0x4000..0x5000}", {}),
        ("{name: v, absent: {16899: broken, 5: other}}", {"v_status": "broken"}),
        ("{name: v, enum: {16899: full, _: other}}", {"v": "full"}),
        ("{name: v, flags: {0: a, 1: b, 9: c}}", {"v": ["a", "b", "c"]}),
        ("{name: v, bits: {low: {at: 0-7}, nine: 9, ten: 10}}", {"low": 3, "nine": True, "ten": False}),
        ("{name: v, negate: 1 == 1}", {"v": -16.899}),
        ("{name: v, type: u16le}", {"v": 16899}),
        ("{name: v, type: hex}", {"v": "03420000"}),
        ("{name: v, clock: unix}", {"v": "1970-01-01T04:41:39.000Z"}),
        ("[{name: v}, {name: w, type: u32le}, {name: z, formula: v + w}]", {"v": 16.899, "w": 16899, "z": 16915.899}),
        ("{group: g, fields: [{name: v}]}", {"g": {"v": 16.899}}),
        ("{name: v, range: [0, 5]}", {"v": 16.899}),
    ],
)  # fmt: skip
def test_rows_of_a_tag(row: str, values: dict[str, Any]) -> None:
    compiled = tags(f'"0413": {row}')
    found = read(compiled, METER)
    assert found == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in values.items()
    }
    proven(compiled, METER, "0413 00000080", "0413 FFFFFFFF")


SHARED = """
blocks: {back: [{name: backflow, if: volume > 10}]}
tags: {water: {volume: {name: volume}, volume_tariff_1: {use: back}}}
fields: [{items: {format: mbus, tags: water}}]
"""


def test_a_shared_table_a_block_and_a_condition() -> None:
    compiled = product(SHARED)
    assert read(compiled, METER) == {"volume": 16.899, "backflow": 0}
    assert read(compiled, "0413 01000000 841013 00000000") == {"volume": 0.001}
    proven(compiled, METER)


def test_a_range_of_names() -> None:
    compiled = tags('"volume_storage_1..3": {name: "month_{key}", unit: l, scale: 1000}')
    assert read(compiled, "4413 01000000 840113 02000000 C40113 03000000") == {"month_1": 1, "month_2": 2, "month_3": 3}
    same = tags('"volume_storage_1..3": {name: month}')
    assert read(same, "4413 01000000 840113 02000000") == {"month": 0.002}


def test_times_keep_the_zone_and_become_the_records_time() -> None:
    compiled = tags("date_time: {name: time}, date_storage_1: {name: due}", "zone: +02:00")
    assert read(compiled, METER) == {"time": "2023-11-22T14:13:00.000Z", "due": "2023-10-31"}
    summer = "046D 0D90F62B"
    assert read(compiled, summer) == {"time": "2023-11-22T13:13:00.000Z"}
    assert read(tags("date_time: {name: time}"), summer) == {"time": "2023-11-22T16:13:00.000Z"}
    assert read(tags("date_time: {name: time}", "zone: Europe/Berlin"), METER) == {"time": "2023-11-22T15:13:00.000Z"}
    assert read(tags("date_time: {name: t, zone: +01:00}"), METER) == {"t": "2023-11-22T15:13:00.000Z"}
    decoded = compiled.messages["m"].parts(read(compiled, METER), None)
    assert decoded[0].device_time == "2023-11-22T14:13:00.000Z"


@pytest.mark.parametrize(
    ("unknown", "values"),
    [
        ("skip", {"flags": 3}),
        ("stop", {}),
        ("{into: others}", None),
    ],
)
def test_records_without_a_tag(unknown: str, values: dict[str, Any] | None) -> None:
    compiled = product(
        f"items: {{format: mbus, tags: {{error_flags: {{name: flags}}}}, on_unknown: {unknown}, raw: all}}"
    )
    found = read(compiled, METER)
    everything = found.pop("all")
    assert everything[0] == {"id": "0413", "value": "03420000"}
    if values is None:
        assert found["flags"] == 3
        assert found["others"]["date_time"] == "2023-11-22T16:13:00.000Z"
        assert compiled.messages["uplink"].unit_of("others.volume") == "m³"
    else:
        assert found == values
    proven(compiled, METER)


def test_unknown_records_can_be_refused() -> None:
    compiled = product("items: {format: mbus, tags: {volume: {name: v}}, on_unknown: refuse}")
    with pytest.raises(DecodeError) as caught:
        read(compiled, METER)
    assert (caught.value.code, caught.value.offset) == (DecodeCode.UNKNOWN_TAG, 9)
    assert caught.value.values == {"v": 16.899}


def test_vendor_data_belong_to_the_rows_behind() -> None:
    compiled = product("fields: [{items: {format: mbus}}, {name: own, type: u16}, {skip: rest}]")
    assert read(compiled, "0906 12 0F 0102 05") == {"energy": 12, "own": 258}
    with pytest.raises(DecodeError):
        read(product("items: {format: mbus}"), "0906 12 0F 0102")
    sized = product("fields: [{items: {format: mbus, bytes: 4}}, {name: own, type: u8}]")
    assert read(sized, "0906 12 0F 07") == {"energy": 12, "own": 7}


STRUCTURES = """
fields:
  - {name: kind, type: u8}
  - {group: meter, prefix: u8, fields: [{items: {format: mbus}}]}
  - {list: others, item_prefix: u8, count: 2, fields: [{items: {format: mbus, tags: {energy: {name: e}}}}]}
  - {switch: kind, cases: {1: [{items: {format: mbus}}], 2: [{name: x, type: u8}]}}
"""


def test_records_within_other_structures() -> None:
    compiled = product(STRUCTURES)
    frame = "01 03 0906 12 03 0906 01 03 0906 02 0906 03"
    assert read(compiled, frame) == {"kind": 1, "meter": {"energy": 12}, "others": [{"e": 1}, {"e": 2}], "energy": 3}
    assert read(compiled, "02 00 00 00 07") == {"kind": 2, "meter": {}, "others": [{}, {}], "x": 7}
    proven(compiled, frame, "02 00 00 00 07")


def test_faults_have_their_place_in_the_frame() -> None:
    compiled = product(
        "fields: [{name: kind, type: u8}, {group: meter, prefix: u8, fields: [{items: {format: mbus}}]}]"
    )
    with pytest.raises(DecodeError) as caught:
        read(compiled, "01 08 0906 12 0C13 270485")
    assert (caught.value.code, caught.value.offset, caught.value.field) == (DecodeCode.TRUNCATED, 7, "meter")


def test_every_record_is_explained() -> None:
    compiled = tags('"0413": {name: volume}')
    fields = explain(compiled, bytes.fromhex(METER.replace(" ", "")), SessionContext())
    (field,) = [field for field in fields if field.path.endswith("volume")]
    assert (field.offset, field.size, field.hex, field.value) == (2, 4, "03420000", 16.899)
    own = explain(product("items: {format: mbus}"), bytes.fromhex("090612"), SessionContext())
    assert [(field.path, field.offset, field.value) for field in own if field.path == "energy"] == [("energy", 2, 12)]


def test_records_cannot_be_built() -> None:
    with pytest.raises(EncodeError):
        product("items: {format: mbus}").encoders[0, "uplink"].encode({})


def test_dlms_by_code_place_and_name() -> None:
    compiled = tags(
        '"1-0:1.8.0": {name: energy, unit: kWh}, "32.7.0": {name: voltage}, date_time: {name: time}', kind="dlms"
    )
    assert read(compiled, BY_STRUCTURES) == {"energy": 200.0, "voltage": 230, "time": "2023-10-20T18:58:15.000Z"}
    places = tags('"#3": {name: power, unit: W}, "#10": {name: v}', kind="dlms")
    assert read(places, BY_PLACE) == {"power": 425, "v": 2298}
    pairs = tags(
        'power_import_raw: {name: power, unit: W}, "31.7.0": {name: current, scale: 0.01, unit: A}', kind="dlms"
    )
    assert read(pairs, BY_PAIRS) == {"power": 1468, "current": 5.64}
    for given, frame in ((compiled, BY_STRUCTURES), (places, BY_PLACE), (pairs, BY_PAIRS)):
        proven(given, frame)


def test_dlms_without_tags() -> None:
    compiled = product("items: {format: dlms}")
    assert read(compiled, BY_STRUCTURES)["energy_import"] == 200.0
    assert compiled.messages["uplink"].unit_of("energy_import") == "kWh"
    proven(compiled, BY_STRUCTURES, BY_PAIRS, BY_PLACE)
    with pytest.raises(DecodeError, match="encrypted"):
        read(compiled, "db08" + "00" * 20)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{format: mbus, tags: {volum: {name: a}}}", "`volum` is no record of `mbus`", "did you mean `volume`?"),
        ("{format: mbus, tags: {413: {name: a}}}", "`413` is a number here", "in quotes"),
        ('{format: mbus, tags: {"04": {name: a}}}', "`04` is no record", "such as"),
        ("{format: mbus, tags: {volume: {name: a}, \"volume\": {name: b}}}".replace('"volume"', '"volume, energy"'),
         "the record volume is also in `volume`", "one tag"),
        ("{format: mbus, key: u8}", "`key` has no meaning with `format: mbus`", "remove it"),
        ("{format: mbus, count: 3}", "`count` has no meaning", "remove it"),
        ("{format: mbus, tags: nothing}", "no table of tags `nothing`", "the spec has none"),
        ("{format: mbus, tags: {volume: {name: a}}, on_unknown: {into: o, type: u8}}", "a type of their own", "remove"),
        ('{format: mbus, tags: {"volume_storage_9..1": {name: a}}}', "is no range", "volume_storage_1..15"),
        ('{format: dlms, tags: {"1.8": {name: a}}}', "`1.8` is no record of `dlms`", ""),
    ],
)  # fmt: skip
def test_mistakes_of_a_spec(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(f"items: {text}")
    (problem,) = caught.value.problems[:1]
    assert message in problem.message
    assert hint in problem.hint


def test_records_do_not_stand_in_text() -> None:
    with pytest.raises(SpecError, match="`mbus` reads bytes"):
        product('frame: {format: text, until: "\\n", split: ","}\nitems: {format: mbus}')
