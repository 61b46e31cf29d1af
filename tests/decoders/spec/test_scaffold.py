from __future__ import annotations

import pytest

from decoders.catalog import build_product
from decoders.spec.lint import lint
from decoders.spec.scaffold import KINDS, bad_name, scaffold
from decoders.trial import try_product


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_product_works_and_lint_is_silent(kind: str) -> None:
    files = scaffold("my_thing", kind)
    golden = {name: text for name, text in files.items() if name.startswith("golden/")}
    loaded = build_product("my_thing", files["spec.yaml"], "spec.yaml", golden)
    trial = try_product(loaded)
    assert trial.ok, [failure.differences for failure in trial.failures]
    assert trial.passed == trial.cases > 3
    assert [found.to_plain() for found in lint(loaded)] == []
    assert loaded.product.spec.title == "My thing"


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_good_truncated_and_corrupt_frames(kind: str) -> None:
    golden = scaffold("x", kind)["golden/frames.yaml"]
    assert ", truncated" in golden or "name: truncated" in golden
    assert "corrupt" in golden


def test_names() -> None:
    assert [bad_name(name) == "" for name in ("prod-a", "x", "a.b_c", "", "../x", "-a", "ä", "a" * 65)] == [
        True, True, True, False, False, False, False, False,
    ]  # fmt: skip
