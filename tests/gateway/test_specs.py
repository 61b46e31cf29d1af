from __future__ import annotations

import os
from pathlib import Path

import pytest

from decoders.catalog import Catalog
from decoders.errors import SpecError
from decoders.spec.source import MAX_BYTES
from gateway import specs
from gateway.specs import ProofMemory, Replaced, cache_dir, load_catalog, packaged_specs, prove_once
from tests.decoders.sensor import GOLDEN, SPEC, write_product


@pytest.fixture(autouse=True)
def _nothing_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shipped products are many: here only those count that a test writes."""
    empty = tmp_path / "packaged"
    empty.mkdir()
    monkeypatch.setattr(specs, "packaged_specs", lambda: empty)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "own"


def problems(*folders: Path) -> list[str]:
    with pytest.raises(SpecError) as error:
        load_catalog(folders)
    return [str(problem) for problem in error.value.problems]


def test_the_shipped_specs_are_found() -> None:
    assert (packaged_specs() / "example_thermo" / "spec.yaml").is_file()


def test_a_folder_of_folders_or_one_of_them_may_be_named(folder: Path) -> None:
    write_product(folder)
    write_product(folder, SPEC.replace("product: sensor", "product: prod-a"), name="prod_a")
    (folder / "notes").mkdir()
    assert list(load_catalog([folder]).products) == ["prod-a", "sensor"]
    one = load_catalog([folder / "sensor"], generation=4)
    assert list(one.products) == ["sensor"]
    assert one.generation == 4
    assert one.products["sensor"].source == os.path.join("own", "sensor", "spec.yaml")
    assert len(one.products["sensor"].cases()) == 4


def test_a_later_folder_replaces_a_product_and_says_so(folder: Path, tmp_path: Path) -> None:
    write_product(folder)
    other = tmp_path / "other"
    write_product(other, SPEC.replace("title: Temperature sensor\n", "title: Mine\n"), name="mine")
    heard: list[Replaced] = []
    catalog = load_catalog([folder, other], notice=heard.append)
    assert catalog.products["sensor"].product.spec.title == "Mine"
    assert heard == [
        Replaced("sensor", os.path.join("other", "mine", "spec.yaml"), os.path.join("own", "sensor", "spec.yaml"))
    ]


def test_one_id_twice_in_one_folder_is_a_mistake(folder: Path) -> None:
    write_product(folder, name="a")
    write_product(folder, name="b")
    (found,) = problems(folder)
    assert found.startswith(os.path.join("own", "b", "spec.yaml") + ":1:")
    assert os.path.join("own", "a", "spec.yaml") in found


def test_problems_of_all_files_are_collected_with_their_places(folder: Path) -> None:
    write_product(folder, SPEC.replace("type: unix32", "type: unix23"), name="a")
    write_product(folder, SPEC, GOLDEN.replace("error: truncated", "eror: truncated"), name="b")
    write_product(folder, "product: [", None, name="c")
    found = problems(folder)
    assert [line.split(":")[0] for line in found] == [
        os.path.join("own", "a", "spec.yaml"),
        os.path.join("own", "b", "golden", "made.yaml"),
        os.path.join("own", "c", "spec.yaml"),
    ]
    assert all(line.split(":")[1].isdigit() and line.split(":")[2].isdigit() for line in found)


def test_only_what_is_wanted_is_read(folder: Path) -> None:
    write_product(folder)
    write_product(folder, "product: broken\nmessages: 5", None, name="broken")
    write_product(folder, 'product: "also"\nmessages: 5', None, name="also")
    assert list(load_catalog([folder], only=["sensor"]).products) == ["sensor"]
    with pytest.raises(SpecError):
        load_catalog([folder], only=["sensor", "broken"])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (found,) = problems(tmp_path / "nowhere")
    assert found == f"{tmp_path / 'nowhere'}: cannot read the folder of specs: No such file or directory"


def test_text_that_is_not_utf_8_is_named_by_its_place(folder: Path) -> None:
    file = write_product(folder)
    file.write_bytes(b"product: sensor\ntitle: \xb0C\n")
    (found,) = problems(folder)
    assert found == f"{os.path.join('own', 'sensor', 'spec.yaml')}:2:8: the file is not UTF-8 text (byte 0xb0)"


def test_a_file_of_any_size_is_refused_without_being_read_whole(folder: Path) -> None:
    file = write_product(folder)
    with file.open("r+b") as out:
        out.truncate(1 << 40)  # a hole
    (found,) = problems(folder)
    assert f"larger than {MAX_BYTES} bytes" in found


def test_a_golden_file_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    write_product(folder)
    (folder / "sensor" / "golden" / "more.yaml").mkdir()
    (found,) = problems(folder)
    assert found.endswith("more.yaml: cannot read the file: Is a directory")


# Proofs


def fused(catalog: Catalog) -> bool:
    forms = [form for loaded in catalog.products.values() for form in loaded.forms().values()]
    states = {kind.use_fused for form in forms for kind in form.kinds}
    assert len(states) == 1
    return states == {True}


@pytest.fixture
def memory(tmp_path: Path) -> ProofMemory:
    return ProofMemory(tmp_path / "cache")


def test_a_proof_is_made_once(folder: Path, memory: ProofMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    write_product(folder)
    first = load_catalog([folder])
    assert not fused(first)
    assert prove_once(first, memory) == ["sensor"]
    assert fused(first)

    def prove_again(loaded: object) -> None:
        raise AssertionError("it is remembered")

    monkeypatch.setattr(specs, "prove_product", prove_again)
    second = load_catalog([folder])
    assert prove_once(second, memory) == []
    assert fused(second)


@pytest.mark.parametrize("change", ["spec", "golden", "code"])
def test_another_spec_golden_frame_or_code_is_proven_again(
    change: str, folder: Path, memory: ProofMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_product(folder)
    prove_once(load_catalog([folder]), memory)
    match change:
        case "spec":
            write_product(folder, SPEC + "note: changed\n")
        case "golden":
            write_product(folder, golden=GOLDEN + "note: changed\n")
        case "code":
            monkeypatch.setattr(specs, "code_digest", lambda: "other code")
    assert prove_once(load_catalog([folder]), memory) == ["sensor"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"": {"agreed": 5}}', b"\xff\xfe"])
def test_a_spoilt_memory_is_made_good(content: bytes, folder: Path, memory: ProofMemory, tmp_path: Path) -> None:
    write_product(folder)
    prove_once(load_catalog([folder]), memory)
    (file,) = (tmp_path / "cache" / "proofs").iterdir()
    file.write_bytes(content)
    assert prove_once(load_catalog([folder]), memory) == ["sensor"]
    assert prove_once(load_catalog([folder]), memory) == []


def test_without_a_memory_it_is_proven_every_time(folder: Path, tmp_path: Path) -> None:
    write_product(folder)
    (tmp_path / "cache").write_text("a file, not a folder")
    memory = ProofMemory(tmp_path / "cache")
    for _ in range(2):
        catalog = load_catalog([folder])
        assert prove_once(catalog, memory) == ["sensor"]
        assert fused(catalog)


def test_a_memory_that_takes_nothing_more_gets_one_beside_it(folder: Path, tmp_path: Path) -> None:
    """As in an image whose own proofs are read-only: those of a user's own specs go to the second folder."""
    write_product(folder)
    (tmp_path / "image").write_text("a file, not a folder")
    memory = ProofMemory(tmp_path / "image", tmp_path / "data")
    assert prove_once(load_catalog([folder]), memory) == ["sensor"]
    catalog = load_catalog([folder])
    assert prove_once(catalog, memory) == []
    assert fused(catalog)


def test_what_the_first_memory_knows_is_not_kept_twice(folder: Path, memory: ProofMemory, tmp_path: Path) -> None:
    write_product(folder)
    prove_once(load_catalog([folder]), memory)
    both = ProofMemory(tmp_path / "cache", tmp_path / "data")
    assert prove_once(load_catalog([folder]), both) == []
    write_product(folder, SPEC + "note: changed\n")
    assert prove_once(load_catalog([folder]), both) == ["sensor"]
    assert not (tmp_path / "data").exists()  # the first took it


def test_codec_construct_proves_nothing(folder: Path, memory: ProofMemory, tmp_path: Path) -> None:
    write_product(folder)
    catalog = load_catalog([folder], codec="construct")
    assert prove_once(catalog, memory, "construct") == []
    assert not fused(catalog)
    assert not (tmp_path / "cache").exists()


def test_codec_fused_refuses_what_is_not_proven(folder: Path, memory: ProofMemory) -> None:
    write_product(folder)
    assert prove_once(load_catalog([folder], codec="fused"), memory, "fused") == ["sensor"]
    write_product(folder, golden="source: none\ncases: []\n")
    for _ in range(2):  # proven now, and remembered
        with pytest.raises(SpecError, match="frame frames cannot use `codec: fused`: no golden frame of this kind"):
            prove_once(load_catalog([folder], codec="fused"), memory, "fused")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"IOTLINK_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/iotlink")),
        ({"XDG_CACHE_HOME": "not/absolute"}, Path("~/.cache/iotlink").expanduser()),
        ({}, Path("~/.cache/iotlink").expanduser()),
    ],
)
def test_where_proofs_are_kept(environ: dict[str, str], expected: Path) -> None:
    assert cache_dir(environ) == expected


def test_the_code_has_a_digest() -> None:
    assert len(specs.code_digest()) == 64


def test_a_user_without_a_home_gets_no_folder_in_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what Python does when nobody knows the user

    assert cache_dir({}).is_absolute()
    assert not cache_dir({}).exists()
