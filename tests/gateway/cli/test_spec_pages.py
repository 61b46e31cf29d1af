from __future__ import annotations

from pathlib import Path

import pytest

from decoders.spec.reference import reference_tables
from gateway.cli import main
from tests.decoders.sensor import write_product


@pytest.fixture
def sensor(specs: Path) -> list[str]:
    write_product(specs)
    return ["sensor", "--specs", str(specs)]


def test_docs_to_stdout_or_a_file(sensor: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "docs", *sensor]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("# Temperature sensor\n")
    assert main(["spec", "docs", *sensor, "--out", "page.md"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == printed


def test_header_of_a_product_or_a_variant(
    sensor: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["spec", "header", *sensor]) == 0
    assert "} SENSOR_PACKED sensor_status_t;" in capsys.readouterr().out
    assert main(["spec", "header", *sensor, "--variant", "coarse", "--out", "sensor.h"]) == 0
    assert "Temperature sensor in whole degrees" in (tmp_path / "sensor.h").read_text(encoding="utf-8")
    assert main(["spec", "header", *sensor, "--variant", "fine"]) == 2
    assert "there are: coarse" in capsys.readouterr().err


def test_reference_prints_its_tables_or_renews_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "reference"]) == 0
    printed = capsys.readouterr().out
    assert all(table in printed for table in reference_tables().values())
    file = tmp_path / "page.md"
    file.write_text("".join(f"<!-- generated: {name} -->\n<!-- end -->\n\n" for name in reference_tables()))
    assert main(["spec", "reference", "--write", str(file)]) == 0
    assert reference_tables()["errors"] in file.read_text(encoding="utf-8")
    file.write_text("<!-- generated: keys -->\n\n<!-- end -->\n")
    assert main(["spec", "reference", "--write", str(file)]) == 1
    assert "has no marker `<!-- generated: types -->`" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["docs", "header"])
def test_an_unknown_product(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", command, "example_termo"]) == 2
    assert "did you mean `example_thermo`?" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(sensor: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "docs", *sensor, "--out", "nowhere/page.md"]) == 1
    assert "nowhere/page.md" in capsys.readouterr().err
