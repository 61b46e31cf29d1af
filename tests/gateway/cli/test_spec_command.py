from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.decoders.sensor import GOLDEN, SPEC, write_product


@pytest.fixture
def sensor(specs: Path) -> Path:
    write_product(specs)
    return specs


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ls_lists_all_products(sensor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "ls", "--specs", str(sensor)]) == 0
    found = {row["product"]: row for row in rows(capsys)}
    assert "example_thermo" in found
    assert found["sensor"] == {
        "product": "sensor", "version": 1, "title": "Temperature sensor", "transports": ["tcp"], "messages": 3,
        "variants": ["coarse"], "fused": None, "golden": 5, "file": "specs/sensor/spec.yaml",
    }  # fmt: skip
    assert main(["spec", "test", "sensor", "--specs", str(sensor)]) == 0
    capsys.readouterr()
    assert main(["spec", "ls", "--specs", str(sensor)]) == 0
    assert {row["product"]: row["fused"] for row in rows(capsys)}["sensor"] == 2


def test_test_passes_and_remembers(sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "test", "sensor", "--specs", str(sensor)]) == 0
    (row,) = rows(capsys)
    assert (row["ok"], row["cases"], row["passed"], row["failures"]) == (True, 5, 5, [])
    assert row["inputs"] > 300
    assert [kind["codec"] for kind in row["kinds"]] == ["fused", "fused"]
    assert len(list((tmp_path / "cache" / "proofs").iterdir())) == 1


def test_test_as_a_table(sensor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "test", "sensor", "--specs", str(sensor), "--output", "table"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[:3] == ["sensor", "5", "5"]
    assert "2 of 2" in line
    assert line.split()[-2:] == ["fused", "2"]


def test_test_says_what_differs_field_by_field(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, golden=GOLDEN.replace("mode: 2,", "mode: 3,"))
    assert main(["spec", "test", "sensor", "--specs", str(specs)]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["passed"] == 4
    assert shown.err.splitlines() == [
        "specs/sensor/golden/made.yaml:4: sensor: case `status` on construct:",
        "    mode: expected 3, found 2",
        "specs/sensor/golden/made.yaml:4: sensor: case `status` on fused:",
        "    mode: expected 3, found 2",
    ]


def test_lint_names_rule_place_and_fix(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(
        specs, SPEC.replace("name: temperature, type: i16, scale", "name: temprature, type: i16, scale"), None
    )
    assert main(["spec", "lint", "sensor", "--specs", str(specs)]) == 0
    found = {row["code"]: row for row in rows(capsys)}
    assert found["near_miss"]["file"] == "specs/sensor/spec.yaml"
    assert found["near_miss"]["line"] == 19
    assert "temperature" in found["near_miss"]["fix"]
    assert main(["spec", "lint", "sensor", "--specs", str(specs), "--strict"]) == 1


def test_lint_as_one_document(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, golden=None)
    assert main(["spec", "lint", "sensor", "--specs", str(specs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["code"] for row in found} == {"no_good_frame", "no_truncated_frame", "no_corrupt_frame"}


def test_lint_looks_at_several_products_together(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "other"):
        write_product(specs, f'product: {name}\nframe: {{until: "0A"}}\nmessages: {{m: {{rest: skip}}}}\n', None, name)
    assert main(["spec", "lint", "one", "other", "--specs", str(specs)]) == 0
    assert "ambiguous_candidates" in {row["code"] for row in rows(capsys)}
    assert main(["spec", "lint", "one", "--specs", str(specs)]) == 0
    assert "ambiguous_candidates" not in {row["code"] for row in rows(capsys)}


def test_lint_fails_for_contradictions(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, SPEC.replace("range: [-40, 125]", "range: [125, -40]"))
    assert main(["spec", "lint", "sensor", "--specs", str(specs), "--output", "table"]) == 1
    assert "specs/sensor/spec.yaml:19" in capsys.readouterr().out


def test_show_prints_layout_construct_or_source(sensor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show = ["spec", "show", "sensor", "--specs", str(sensor)]
    assert main([*show, "--output", "table"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["frame", "offset", "size", "type", "name", "scale", "unit", "note"]
    assert "* 0.1" in text
    assert main([*show, "--construct"]) == 0
    assert "BytesInteger(2, signed)" in capsys.readouterr().out
    assert main([*show, "--generated"]) == 0
    assert "def decode(b, s, z):" in capsys.readouterr().out
    assert main([*show, "--variant", "coarse", "--output", "table"]) == 0
    assert "* 0.1" not in capsys.readouterr().out
    assert main([*show, "--variant", "fine"]) == 2
    assert "there are: coarse" in capsys.readouterr().err


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "schema"]) == 0
    assert "messages" in json.loads(capsys.readouterr().out)["properties"]


def test_an_unknown_product(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "test", "example_termo"]) == 2
    assert "did you mean `example_thermo`?" in capsys.readouterr().err
