from __future__ import annotations

from pathlib import Path

import pytest

from decoders.spec.scaffold import KINDS
from gateway.cli import main


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_product_passes_at_once(kind: str, specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "new", "my_thing", "--kind", kind, "--specs", "specs"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "specs/my_thing/spec.yaml",
        "specs/my_thing/golden/frames.yaml",
        "next: iotlink spec test my_thing --specs specs",
    ]
    assert main(["spec", "test", "my_thing", "--specs", str(specs)]) == 0
    capsys.readouterr()
    assert main(["spec", "lint", "my_thing", "--specs", str(specs), "--strict"]) == 0
    assert capsys.readouterr().out == ""


def test_without_a_folder_it_is_made_here(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "new", "here"]) == 0
    assert (specs.parent / "here" / "spec.yaml").is_file()
    assert "--specs ." in capsys.readouterr().out


def test_nothing_is_overwritten(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = specs / "mine"
    (home / "golden").mkdir(parents=True)
    (home / "golden" / "frames.yaml").write_text("mine")
    assert main(["spec", "new", "mine", "--specs", "specs"]) == 1
    assert capsys.readouterr().err == "specs/mine/golden/frames.yaml is there already; nothing was written\n"
    assert not (home / "spec.yaml").exists()
    assert (home / "golden" / "frames.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["../out"], "`../out` is no id of a product"),
        (["a b"], "is no id of a product"),
        (["x", "--kind", "tlvs"], "did you mean `tlv`?"),
        (["x", "--kind", "quantum"], "there are tcp, payload, text, tlv, json"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "new", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert list(specs.iterdir()) == []
