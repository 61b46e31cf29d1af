"""Specs in folders that extend each other: found, proven, remembered, and changed with what they extend."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from decoders.errors import SpecError
from gateway import specs
from gateway.cli import main
from gateway.specs import ProofMemory, load_catalog, prove_once
from tests.decoders.sensor import SPEC, STATUS, write_product

FINE = """\
product: fine
extends: sensor
title: Fine temperature sensor
messages: {status: {fields: {temperature: {scale: 0.01}}}}
"""
GOLDEN = f"""\
source: made
cases:
  - {{name: status, hex: "{STATUS.hex()}", message: status, values: {{temperature: 2.63}}}}
"""


@pytest.fixture(autouse=True)
def _nothing_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "packaged"
    empty.mkdir()
    monkeypatch.setattr(specs, "packaged_specs", lambda: empty)
    monkeypatch.setenv("IOTLINK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_product(tmp_path / "own")
    write_product(tmp_path / "own", FINE, GOLDEN, name="fine")
    return tmp_path / "own"


def test_the_base_is_found_though_it_was_not_asked_for(folder: Path) -> None:
    catalog = load_catalog([folder], only=["fine"])
    assert list(catalog.products) == ["fine"]
    assert catalog.products["fine"].bases == (os.path.join("own", "sensor", "spec.yaml"),)


def test_a_proof_holds_until_the_base_changes(folder: Path, tmp_path: Path) -> None:
    memory = ProofMemory(tmp_path / "cache")
    assert prove_once(load_catalog([folder]), memory) == ["fine", "sensor"]
    before = load_catalog([folder])
    assert prove_once(before, memory) == []
    write_product(folder, SPEC.replace("range: [-40, 125]", "range: [-40, 130]"))
    after = load_catalog([folder])
    assert after.digest != before.digest
    assert prove_once(after, memory) == ["fine", "sensor"]


def test_a_folder_may_change_the_product_that_it_replaces(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_product(other, "product: sensor\nextends: sensor\ntitle: Mine\n", name="mine")
    catalog = load_catalog([folder, other])
    assert catalog.products["sensor"].product.spec.title == "Mine"
    assert catalog.products["fine"].bases == (os.path.join("own", "sensor", "spec.yaml"),)


def test_a_problem_of_the_base_is_said_once(folder: Path) -> None:
    write_product(folder, SPEC.replace("type: i16, scale", "type: i17, scale"))
    with pytest.raises(SpecError) as caught:
        load_catalog([folder])
    where = [f"{problem.source}:{problem.line}" for problem in caught.value.problems]
    assert where == [f"{os.path.join('own', 'sensor', 'spec.yaml')}:19"]


def test_an_id_in_quotes_can_be_extended(folder: Path) -> None:
    write_product(folder, SPEC.replace("product: sensor", 'product: "sensor" # the first\n'))
    assert list(load_catalog([folder]).products) == ["fine", "sensor"]


def test_the_command_tests_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "test", "fine", "--specs", str(folder), "--output", "ndjson"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["ok"], row["cases"], row["passed"]) == (True, 1, 1)
    assert main(["decode", "fine", STATUS.hex(), "--specs", str(folder), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"]["temperature"] == 2.63
