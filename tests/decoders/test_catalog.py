from __future__ import annotations

import pytest

from decoders.catalog import Catalog, UnknownProduct, build_product, digest_of
from decoders.errors import SpecError
from decoders.framing.framer import cut
from decoders.types import SessionContext
from tests.decoders import sensor
from tests.decoders.sensor import GOLDEN, SPEC, STATUS, loaded


def problems(spec: str = SPEC, golden: str = GOLDEN) -> list[str]:
    with pytest.raises(SpecError) as error:
        loaded(spec, golden)
    return [str(problem) for problem in error.value.problems]


def renamed(product_id: str, transports: str = "[tcp]") -> str:
    return SPEC.replace("product: sensor", f"product: {product_id}\ntransports: {transports}")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_folder_becomes_a_product_with_its_golden_frames() -> None:
    made = loaded()
    assert made.product.id == made.folder == "sensor"
    assert made.product.digest == made.digest
    assert [case.name for case in made.cases()] == ["login", "status", "half a status", "changed status"]
    assert [case.name for case in made.cases("coarse")] == ["coarse status"]


def test_a_variant_is_the_spec_with_its_changes() -> None:
    made = loaded()
    assert list(made.forms()) == ["", "coarse"]
    coarse = made.product.variants["coarse"]
    frame = cut(coarse.framing, STATUS)
    assert coarse.decode(frame, SessionContext()).values["temperature"] == 263
    assert made.product.decode(frame, SessionContext()).values["temperature"] == pytest.approx(26.3)
    assert made.product.decode(frame, SessionContext(variant="coarse")).values["temperature"] == 263
    assert coarse.spec.source == made.product.spec.source
    assert coarse.spec.title != made.product.spec.title


def test_the_digest_changes_with_every_text_and_not_with_the_place() -> None:
    base = digest_of("spec", {"a/1.yaml": "x", "a/2.yaml": "y"})
    assert digest_of("spec", {"b/1.yaml": "x", "b/2.yaml": "y"}) == base
    others = [digest_of("spec2", {"a/1.yaml": "x", "a/2.yaml": "y"}), digest_of("spec", {"a/1.yaml": "xy"})]
    others += [digest_of("spec", {"a/1.yaml": "x", "a/2.yaml": "z"}), digest_of("spec", {"a/1.yaml": "y"})]
    assert len({base, *others}) == 5


def test_problems_of_spec_and_golden_files_come_together() -> None:
    wrong = SPEC.replace("type: unix32}\n", "type: unix23}\n")
    found = problems(wrong, GOLDEN.replace("values: {device", "vlaues: {device"))
    line = line_of(wrong, "unix23")
    assert found[0].startswith(f"sensor/spec.yaml:{line}:")
    assert "did you mean `unix32`?" in found[0]
    assert found[1].startswith("sensor/golden/made.yaml:3:")
    assert "did you mean `values`?" in found[1]
    assert len(found) == 2


def test_a_mistake_in_a_variant_stands_at_its_place_in_the_file() -> None:
    wrong = SPEC.replace('{name: temperature, type: i16, unit: "°C"}', '{name: temperature, type: i61, unit: "°C"}')
    (found,) = problems(wrong)
    assert found.startswith(f"sensor/spec.yaml:{line_of(wrong, 'i61')}:")
    assert "variants.coarse.messages.status.fields[0].type" in found


@pytest.mark.parametrize("key", ["product: other", "variants: {}"])
def test_a_variant_cannot_change_what_it_is(key: str) -> None:
    found = problems(SPEC.replace("    title: Temperature sensor in whole degrees", f"    {key}"))
    assert f"a variant cannot change `{key.split(':')[0]}`" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("variant: coarse", "variant: corase", "no variant `corase`", "did you mean `coarse`?"),
        ("message: login", "message: logni", "no message `logni`", "did you mean `login`?"),
        ("error: bad_check", "error: bad_chek", "no error code `bad_chek`", "did you mean `bad_check`?"),
        ("name: half a status", "name: login", "two cases are called `login`", ""),
    ],
)
def test_a_golden_case_cannot_name_what_does_not_exist(old: str, new: str, message: str, hint: str) -> None:
    (found,) = problems(golden=GOLDEN.replace(old, new))
    assert found.startswith("sensor/golden/made.yaml:")
    assert message in found
    assert hint in found


def test_the_catalog_is_sorted_and_has_a_digest() -> None:
    one, two = loaded(renamed("b")), loaded(renamed("a"))
    catalog = Catalog.of([one, two], generation=7)
    assert list(catalog.products) == ["a", "b"]
    assert catalog.generation == 7
    assert catalog.digest == Catalog.of([two, one]).digest != Catalog.of([one]).digest


def test_one_id_in_two_files_names_both() -> None:
    with pytest.raises(SpecError) as error:
        Catalog.of([loaded(folder="one"), loaded(folder="two")])
    (problem,) = error.value.problems
    assert (problem.source, problem.line) == ("two/spec.yaml", 1)
    assert "`sensor` is also in one/spec.yaml" in problem.message


def test_candidates_are_those_named_in_their_order_or_all_of_the_transport() -> None:
    texts = [renamed("c"), renamed("a", "[tcp, rest]"), renamed("b", "[rest]")]
    catalog = Catalog.of([loaded(text) for text in texts])
    assert [product.id for product in catalog.candidates([], "tcp")] == ["a", "c"]
    assert [product.id for product in catalog.candidates(["c", "a", "c"], "tcp")] == ["c", "a"]
    assert [product.id for product in catalog.candidates([], "mqtt")] == []


def test_an_unknown_candidate_is_told_the_nearest_product() -> None:
    catalog = Catalog.of([loaded(), loaded(renamed("other", "[rest]"))])
    with pytest.raises(UnknownProduct, match=r"no product `sensr` \(did you mean `sensor`\?\)"):
        catalog.candidates(["sensr"], "tcp")
    with pytest.raises(UnknownProduct, match=r"no product `zzzz` \(there are other, sensor\)"):
        catalog.find("zzzz")
    with pytest.raises(UnknownProduct, match=r"`other` does not speak tcp \(it speaks rest\)"):
        catalog.candidates(["other"], "tcp")


def test_the_sensor_of_these_tests_is_a_sound_product() -> None:
    assert sensor.compiled().sound(cut(sensor.compiled().framing, STATUS))


def test_a_product_without_a_frame_is_no_candidate_of_a_stream() -> None:
    payload = build_product("p", "product: p\nfields: [{name: a, type: u8}]\n", "p/spec.yaml", {})
    catalog = Catalog.of([loaded(), payload])
    assert [product.id for product in catalog.candidates([], "tcp")] == ["sensor"]
    assert [product.id for product in catalog.candidates([], "mqtt")] == ["p"]
    with pytest.raises(UnknownProduct, match=r"`p` does not speak tcp \(it speaks mqtt, rest\)"):
        catalog.candidates(["p"], "tcp")
