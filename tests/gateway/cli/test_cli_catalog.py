from __future__ import annotations

from pathlib import Path

import pytest

from decoders.catalog import UnknownProduct
from decoders.proven import prove_product
from gateway.cli.catalog import memory, open_catalog, open_product
from tests.decoders.sensor import SPEC, write_product


def test_own_specs_add_to_the_shipped_ones(specs: Path) -> None:
    write_product(specs)
    assert {"sensor", "example_thermo"} <= open_catalog([specs]).products.keys()
    assert "sensor" not in open_catalog(None).products


def test_only_the_named_products_are_opened(specs: Path) -> None:
    write_product(specs)
    write_product(specs, "product: broken\nmessages: 7", None, name="broken")
    assert list(open_catalog([specs], ["sensor", "example_thermo", "sensor"]).products) == ["example_thermo", "sensor"]
    assert open_product([specs], "sensor").folder == "sensor"


def test_a_product_that_replaces_another_is_said_on_stderr(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, SPEC.replace("product: sensor", "product: example_thermo"))
    assert open_product([specs], "example_thermo").product.spec.title == "Temperature sensor"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "specs/sensor/spec.yaml replaces example_thermo of " in shown.err


def test_an_unknown_product_is_told_the_nearest(specs: Path) -> None:
    write_product(specs)
    with pytest.raises(UnknownProduct, match="did you mean `sensor`"):
        open_product([specs], "sensr")


def test_proofs_are_kept_where_the_environment_says(specs: Path, tmp_path: Path) -> None:
    write_product(specs)
    loaded = open_product([specs], "sensor")
    assert memory().find(loaded) is None
    memory().keep(loaded, prove_product(loaded))
    assert memory().find(loaded) is not None
    assert (tmp_path / "cache" / "proofs").is_dir()
