from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from tests.decoders.sensor import SPEC, write_product

BROKEN = SPEC.replace('unit: "°C", range: [-40, 125]', "unit: K")


@pytest.fixture
def files(specs: Path) -> Path:
    write_product(specs, SPEC, None)
    write_product(specs.parent / "later", BROKEN, None)
    (specs.parent / "raised.yaml").write_text(BROKEN.replace("product: sensor", "product: sensor\nversion: 2"))
    return specs


def test_what_breaks_must_raise_the_version(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "diff", "specs/sensor", "later/sensor/spec.yaml", "--output", "table"]) == 1
    shown = capsys.readouterr()
    assert [line.rstrip().split(maxsplit=2) for line in shown.out.splitlines()[1:]] == [
        ["breaking", "status.temperature", "unit: `°C` -> `K`"],
        ["new", "status.temperature", "range: -40 to 125 -> none"],
    ]
    assert shown.err == "consumers of the records break, and `version` is still 1: raise it\n"
    assert main(["spec", "diff", "specs/sensor", "raised.yaml"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"effect": "compatible", "place": "", "change": "version: 1 -> 2"}
    assert lines[1]["effect"] == "breaking"


def test_as_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "diff", "sensor", "raised.yaml", "--specs", str(files), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["breaking"] is True
    assert found["version"] == {"before": 1, "after": 2, "raised": True}
    assert found["counts"] == {"compatible": 1, "new": 1, "breaking": 1}
    assert len(found["changes"]) == 3


def test_no_change(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "diff", "example_thermo", "example_thermo"]) == 0
    assert capsys.readouterr().out == ""


def test_a_spec_that_extends_one_beside_it(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = files / "child"
    child.mkdir()
    (child / "spec.yaml").write_text("product: child\nextends: sensor\n")
    assert main(["spec", "diff", "specs/sensor", "specs/child"]) == 1
    assert "product id: `sensor` -> `child`" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "specs/sensor/nowhere.yaml"])
def test_what_is_not_there(name: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "diff", "specs/sensor", name]) == 2
    assert f"no product `{name}`" in capsys.readouterr().err


def test_a_spec_with_mistakes_names_their_places(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files.parent / "bad.yaml").write_text(SPEC.replace("type: i16", "type: i61"))
    assert main(["spec", "diff", "specs/sensor", "bad.yaml"]) == 2
    assert "bad.yaml:19:" in capsys.readouterr().err
