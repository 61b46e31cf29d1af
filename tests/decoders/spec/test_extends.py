"""A spec that extends another: what it inherits, what it changes, and files that cannot be laid over each other."""

from __future__ import annotations

import pytest

from decoders.catalog import LoadedProduct, build_product
from decoders.errors import SpecError
from decoders.spec.extends import MAX_CHAIN, Shelf, SpecText
from decoders.spec.lint import lint
from decoders.trial import try_product
from tests.decoders.sensor import GOLDEN, SPEC, STATUS
from tests.decoders.specs import read

FINE = """\
product: fine
extends: sensor
title: Fine temperature sensor
messages:
  status:
    fields:
      temperature: {scale: 0.01, range: [-50, 150]}
      flags: null
    rest: skip
"""


def text(product: str, spec: str) -> SpecText:
    return SpecText(product, f"{product}/spec.yaml", spec)


def build(spec: str, *others: SpecText, product: str = "fine", golden: str = "") -> LoadedProduct:
    own = text(product, spec)
    files = {f"{product}/golden/made.yaml": golden} if golden else {}
    return build_product(product, spec, own.source, files, shelf=Shelf([[own, *others]]))


def problems(spec: str, *others: SpecText, product: str = "fine") -> list[str]:
    with pytest.raises(SpecError) as caught:
        build(spec, *others, product=product)
    return [str(problem) for problem in caught.value.problems]


SENSOR = text("sensor", SPEC)


def test_what_is_not_changed_is_inherited() -> None:
    loaded = build(FINE, SENSOR)
    product = loaded.product
    assert (product.id, product.spec.title, product.spec.source) == (
        "fine",
        "Fine temperature sensor",
        "Sensor protocol, revision 1",
    )
    assert loaded.bases == ("sensor/spec.yaml",)
    assert read(product, STATUS) == {"type": 2, "serial": 1, "temperature": 2.63, "time": "2026-03-01T12:00:00.000Z"}
    assert list(product.messages) == ["login", "status", "ack"]
    assert not loaded.golden
    assert read(product.variants["coarse"], STATUS)["temperature"] == 263


def test_it_has_golden_frames_of_its_own() -> None:
    case = f'{{name: a, hex: "{STATUS.hex()}", message: status, values: {{temperature: 2.63}}}}'
    golden = f"source: made\ncases:\n  - {case}\n"
    loaded = build(FINE, SENSOR, golden=golden)
    trial = try_product(loaded)
    assert trial.ok
    assert (trial.cases, trial.passed) == (1, 1)
    assert {finding.problem.source for finding in lint(loaded)} <= {"fine/spec.yaml", "sensor/spec.yaml"}


def test_variants_are_inherited_changed_or_removed() -> None:
    more = build(FINE + "variants: {coarse: {title: Whole degrees}, other: {zone: '+01:00'}}\n", SENSOR).product
    assert more.variants["coarse"].spec.title == "Whole degrees"
    assert read(more.variants["coarse"], STATUS)["temperature"] == 263
    assert more.variants["other"].spec.zone == "+01:00"
    assert not build(FINE + "variants: null\n", SENSOR).product.variants
    assert not build(FINE + "variants: {coarse: null}\n", SENSOR).product.variants


def test_a_key_is_removed_with_null() -> None:
    without = FINE.replace("    rest: skip\n", "    replies: null\n    rest: skip\n")
    assert build(FINE, SENSOR).product.reply_plans["status"]
    assert "status" not in build(without, SENSOR).product.reply_plans


def test_the_digest_holds_for_all_texts() -> None:
    digests = {
        build(FINE, SENSOR).digest,
        build(FINE, text("sensor", SPEC + "\n")).digest,
        build(FINE + "\n", SENSOR).digest,
        build(FINE, SENSOR, golden="source: x\ncases: []\n").digest,
    }
    assert len(digests) == 4


def test_errors_stand_in_the_file_that_has_them() -> None:
    (own,) = problems(FINE.replace("scale: 0.01", "scael: 0.01"), SENSOR)
    assert own.startswith("fine/spec.yaml:7:21: messages.status.fields.temperature.scael: unknown key `scael`")
    (base,) = problems(FINE, text("sensor", SPEC.replace("type: i16, scale", "type: i17, scale")))
    assert base.startswith("sensor/spec.yaml:19:35: messages.status.fields[0].type: ")
    (row,) = problems(FINE.replace("flags:", "flag:"), SENSOR)
    assert row.startswith("fine/spec.yaml:8:7: messages.status.fields.flag: there is no row `flag` to change")
    assert "did you mean `flags`?" in row
    values = problems(FINE.replace("extends: sensor", "extends: 5"), SENSOR)
    assert values[0].startswith("fine/spec.yaml:2:10: extends: expected text")


def test_a_base_that_is_not_there() -> None:
    (missing,) = problems(FINE.replace("extends: sensor", "extends: senser"), SENSOR)
    assert missing == ("fine/spec.yaml:2:10: extends: there is no product `senser` to extend (did you mean `sensor`?)")
    (alone,) = problems(FINE)
    assert "there is no product `sensor` to extend" in alone


def test_a_circle_is_reported() -> None:
    other = text("other", "product: other\nextends: fine\n")
    (circle,) = problems(FINE.replace("extends: sensor", "extends: other"), other)
    assert circle.startswith(
        "other/spec.yaml:2:10: extends: specs extend each other in a circle: fine -> other -> fine"
    )
    assert "no product `fine`" in problems("product: fine\nextends: fine\n")[0]


def chain(length: int) -> list[SpecText]:
    """Specs p1 to p<length>, each extending the next one; the last is whole."""
    specs = [text(f"p{index}", f"product: p{index}\nextends: p{index + 1}\n") for index in range(1, length)]
    return [*specs, text(f"p{length}", SPEC.replace("product: sensor", f"product: p{length}"))]


def test_chains_have_an_end() -> None:
    first, *others = chain(MAX_CHAIN)
    loaded = build(first.text, *others, product="p1")
    assert loaded.product.id == "p1"
    assert len(loaded.bases) == MAX_CHAIN - 1
    first, *others = chain(MAX_CHAIN + 1)
    assert "more than 8 specs" in problems(first.text, *others, product="p1")[0]


def test_in_a_chain_the_nearest_wins() -> None:
    middle = text("middle", "product: middle\nextends: sensor\ntitle: Middle\nnote: from the middle\n")
    product = build(FINE.replace("extends: sensor", "extends: middle"), middle, SENSOR).product
    assert (product.spec.title, product.spec.note) == ("Fine temperature sensor", "from the middle")


def test_a_base_that_is_no_spec() -> None:
    assert "expected a spec" in problems(FINE, text("sensor", "- 1\n"))[0]
    assert problems(FINE, text("sensor", "a: [\n"))[0].startswith("sensor/spec.yaml:")


def test_a_folder_is_looked_through_before_those_below_it() -> None:
    shipped, own = SpecText("s", "shipped/s", ""), SpecText("s", "own/s", "")
    other, late = SpecText("o", "own/o", ""), SpecText("l", "late/l", "")
    shelf = Shelf([[shipped], [own, other], [late]])
    assert shelf.find("s", "own/o") is own
    assert shelf.find("s", "own/s") is shipped  # the one that it replaces
    assert shelf.find("s", "late/l") is own
    assert shelf.find("l", "shipped/s") is late
    assert shelf.find("x", "own/o") is None
    assert shelf.find("s", "unknown") is own
    assert shelf.products() == {"s", "o", "l"}


def test_the_golden_frames_of_the_base_are_its_own() -> None:
    base = build_product("sensor", SPEC, "sensor/spec.yaml", {"a": GOLDEN})
    assert len(base.cases()) == 4
    assert build(FINE, SENSOR).cases() == []


def test_a_short_spec_can_be_extended() -> None:
    base = text("short", "product: short\nfields:\n  - {name: a, type: u8}\n  - {name: b, type: u8}\n")
    product = build("product: fine\nextends: short\nfields: {b: {scale: 0.5, unit: V}}\n", base).product
    assert read(product, "0103") == {"a": 1, "b": 1.5}
    (problem,) = problems("product: fine\nextends: short\nfields: {b: {type: u9}}\n", base)
    assert problem.startswith("fine/spec.yaml:3:20: fields.b.type: ")
