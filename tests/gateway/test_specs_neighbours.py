"""A bad spec is its author's trouble: commands that name another product go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from decoders.catalog import UnknownProduct
from decoders.errors import SpecError, SpecProblem
from gateway.cli.catalog import open_catalog
from gateway.specs import load_catalog, product_ids

GOOD = "product: good\nfields: [{name: a, type: u8}]\n"
BAD = {
    "nothing": b"",
    "half": b"product: half\nfields: [{",
    "nameless": b"title: x\nfields: [{name: a, type: u8}]\n",
    "wrong": b"product: wrong\nfields: [{name: a, type: u99}]\n",
    "quoted": b'"product": quoted\nfields: [{name: a, type: u99}]\n',
    "bytes": b"\xff\xfe\x00",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"good": GOOD.encode(), **BAD}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.yaml").write_bytes(text)
    return tmp_path


def test_neighbours_are_warned_about(folder: Path) -> None:
    told: list[SpecProblem] = []
    catalog = load_catalog([folder], only=["good"], warn=told.append)
    assert "good" in catalog.products
    assert {Path(problem.source).parent.name for problem in told} == {"nothing", "nameless", "quoted", "bytes"}


def test_shipped_products_are_not_blocked(folder: Path) -> None:
    assert "concox_gt06" in load_catalog([folder], only=["concox_gt06"]).products


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_spec_that_is_named_is_an_error(folder: Path, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_catalog([folder], only=[name])
    assert {Path(problem.source).parent.name for problem in caught.value.problems} == {name}


def test_a_base_that_is_bad_is_an_error(folder: Path) -> None:
    (folder / "child").mkdir()
    (folder / "child" / "spec.yaml").write_text("product: child\nextends: wrong\n")
    with pytest.raises(SpecError):
        load_catalog([folder], only=["child"])


def test_all_products_together_need_all_specs(folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_catalog([folder])
    assert {Path(problem.source).parent.name for problem in caught.value.problems} == set(BAD)


def test_a_wrong_name_is_told_the_nearest_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {"good", "half", "wrong", "quoted"} <= set(product_ids([folder]))
    with pytest.raises(UnknownProduct, match=r"no product `godo` \(did you mean `good`\?\)"):
        open_catalog([folder], ["godo"])
    assert "warning: " in capsys.readouterr().err
