"""Product specs on disk become the catalog, and proofs are remembered.

Place in the walk: `serve` and every command that needs products start here. Folders are looked through in order: the
shipped `product_specs` first, then `gateway.specs_dirs` or `--specs`; of two products with one id the later folder's
counts.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.resources
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import decoders
from decoders.catalog import Catalog, LoadedProduct, build_product
from decoders.errors import SpecError, SpecProblem
from decoders.proven import ProductProven, apply_proof, codec_report, proof_key, prove_product
from decoders.spec.extends import Shelf, SpecText
from decoders.spec.source import MAX_BYTES, load
from gateway.custom_types import load_custom_types

__all__ = [
    "ProofMemory",
    "Replaced",
    "cache_dir",
    "load_catalog",
    "load_spec",
    "packaged_specs",
    "product_ids",
    "prove_once",
]

SPEC_FILE = "spec.yaml"
GOLDEN_FOLDER = "golden"
_PRODUCT_LINE = re.compile(r"""^product:[ \t]*["']?([A-Za-z0-9][A-Za-z0-9_.-]*)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(slots=True, frozen=True)
class Replaced:
    """A product of a later folder took the place of one with the same id."""

    product: str
    source: str
    replaced: str


Notice = Callable[[Replaced], None]
Warn = Callable[[SpecProblem], None]


def packaged_specs() -> Path:
    """The folder of the shipped specs."""
    return Path(str(importlib.resources.files("product_specs")))


def load_catalog(
    folders: Sequence[Path] = (),
    *,
    only: Iterable[str] | None = None,
    codec: str = "auto",
    generation: int = 1,
    notice: Notice | None = None,
    warn: Warn | None = None,
    check_golden: bool = True,
) -> Catalog:
    """Reads and compiles the shipped specs and those of `folders`.

    A folder holds one folder per product, or is one itself. only: ids of the products that are wanted; the others are
    skipped without being checked, and what is wrong with files that may be any product's is told to `warn`. notice:
    told of every product that another one replaces. check_golden: read the golden files too; else they are read when a
    proof needs them. No codec is proven here. Raises SpecError with the problems of all files that count.
    """
    load_custom_types()
    wanted = None if only is None else frozenset(only)
    problems: list[SpecProblem] = []
    found: dict[str, LoadedProduct] = {}
    strange: dict[Path, list[SpecProblem]] = {}  # files of which nobody can tell whose they are
    texts = [_texts(folder, problems, strange) for folder in (packaged_specs(), *folders)]
    shelf = Shelf([[SpecText(_id(text), shown(file), text) for file, text in here.items()] for here in texts])
    for folder_texts in texts:
        products: list[LoadedProduct] = []
        for spec_file, text in folder_texts.items():
            try:
                if wanted is None or _declared_id(text) in (None, *wanted):
                    golden = {shown(path): _read(path) for path in _golden_files(spec_file)}
                    name, source = spec_file.parent.name, shown(spec_file)
                    products.append(build_product(name, text, source, golden, codec, shelf, check_golden=check_golden))
            except SpecError as error:  # of a spec that several extend, each says the same
                known = _id(text)
                into = problems if wanted is None or known in wanted else strange.setdefault(spec_file, [])
                into += [problem for problem in error.problems if problem not in into]
        try:
            here = Catalog.of(products)
        except SpecError as error:
            problems += error.problems
            continue
        for product_id, loaded in here.products.items():
            if product_id in found and notice is not None:
                notice(Replaced(product_id, loaded.source, found[product_id].source))
            found[product_id] = loaded
    for spec_file, theirs in strange.items():
        if wanted is None or spec_file.parent.name in wanted - found.keys():
            problems += theirs
        elif warn is not None:
            for problem in theirs:
                warn(problem)
    if problems:
        raise SpecError(problems)
    return Catalog.of(found.values(), generation)


def product_ids(folders: Sequence[Path] = ()) -> list[str]:
    """Ids of the shipped products and of those in `folders`, whether their specs are right or not."""
    texts = [text for folder in (packaged_specs(), *folders) for text in _texts(folder, [], {}).values()]
    return sorted({_id(text) for text in texts} - {""})


def load_spec(path: Path, folders: Sequence[Path] = ()) -> LoadedProduct:
    """The spec of a product's folder, or a spec file of any name, without its golden frames.

    It may extend the shipped specs, those of `folders` and those beside its folder. Raises SpecError.
    """
    spec_file = path / SPEC_FILE if path.is_dir() else path
    beside = [spec_file.parent.parent] if spec_file.name == SPEC_FILE else []
    texts = [_texts(folder, [], {}) for folder in (packaged_specs(), *folders, *beside)]
    shelf = Shelf([[SpecText(_id(text), shown(file), text) for file, text in here.items()] for here in texts])
    return build_product(spec_file.absolute().parent.name, _read(spec_file), shown(spec_file), {}, shelf=shelf)


def shown(path: Path) -> str:
    """The path as it is shown to people: relative where that is shorter to read and still true."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)


def _spec_files(folder: Path, problems: list[SpecProblem]) -> list[Path]:
    if (folder / SPEC_FILE).is_file():
        return [folder / SPEC_FILE]
    try:
        return sorted(path / SPEC_FILE for path in folder.iterdir() if (path / SPEC_FILE).is_file())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problems.append(SpecProblem(str(folder), 0, 0, "", f"cannot read the folder of specs: {reason}"))
        return []


def _texts(folder: Path, problems: list[SpecProblem], unread: dict[Path, list[SpecProblem]]) -> dict[Path, str]:
    """The spec files of a folder that can be read. problems: gets those of the folder; unread: those of files."""
    texts = {}
    for spec_file in _spec_files(folder, problems):
        try:
            texts[spec_file] = _read(spec_file)
        except SpecError as error:
            unread[spec_file] = error.problems
    return texts


def _id(text: str) -> str:
    """The id of the product as a whole reading of the file says it where the quick look cannot tell; "" for none."""
    known = _declared_id(text)
    if known is not None:
        return known
    try:
        data = load(text, "").data
    except SpecError:
        return ""
    return str(data.get("product", "")) if isinstance(data, dict) else ""


def _golden_files(spec_file: Path) -> list[Path]:
    return sorted((spec_file.parent / GOLDEN_FOLDER).glob("*.yaml"))


def _read(path: Path) -> str:
    """Text of a file. Raises SpecError for one that cannot be read, is too large or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SpecError([SpecProblem(shown(path), 0, 0, "", f"the file is larger than {MAX_BYTES} bytes")])
        return data.decode("utf-8")
    except OSError as error:
        raise SpecError([SpecProblem(shown(path), 0, 0, "", f"cannot read the file: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"the file is not UTF-8 text (byte 0x{data[error.start]:02x})"
        raise SpecError([SpecProblem(shown(path), line, column, "", message)]) from None


def _declared_id(text: str) -> str | None:
    """The id of the product by a quick look; None when only a full reading can tell."""
    found = _PRODUCT_LINE.findall(text)
    return found[0] if len(found) == 1 else None


# Proofs


def cache_dir(environ: Mapping[str, str]) -> Path:
    """`IOTLINK_CACHE_DIR`, else `$XDG_CACHE_HOME/iotlink`, else `~/.cache/iotlink`.

    A user without a home (a container's, often) gets a folder that cannot be written: proofs are then made at each
    start. A shared folder such as /tmp would let others say which codecs are proven.
    """
    if own := environ.get("IOTLINK_CACHE_DIR"):
        return Path(own)
    if (shared := environ.get("XDG_CACHE_HOME")) and Path(shared).is_absolute():
        return Path(shared) / "iotlink"
    home = os.path.expanduser("~")
    return Path(home if os.path.isabs(home) else "/nonexistent") / ".cache" / "iotlink"


@functools.cache
def code_digest() -> str:
    """SHA-256 of the decoders' source: a proof holds for the code that it was made with."""
    root = Path(decoders.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class ProofMemory:
    """Proofs in folders, one small JSON file each. They are looked for in all, and written to the first that lets them
    be. Folders that cannot be used mean that proofs are made again."""

    def __init__(self, *folders: Path) -> None:
        self._folders = [folder / "proofs" for folder in folders]

    def find(self, loaded: LoadedProduct) -> ProductProven | None:
        """The proof that was made of these texts with this code, or None."""
        name = _proof_file(loaded)
        for folder in self._folders:
            with contextlib.suppress(OSError, ValueError):
                return ProductProven.from_plain(json.loads((folder / name).read_bytes()))
        return None

    def keep(self, loaded: LoadedProduct, proven: ProductProven) -> None:
        """Writes a proof, whole or not at all."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".new", delete=False) as file:
                    json.dump(proven.to_plain(), file)
                os.replace(file.name, folder / _proof_file(loaded))
                return


def _proof_file(loaded: LoadedProduct) -> str:
    return f"{proof_key(loaded.digest, code_digest())}.json"


def prove_once(catalog: Catalog, memory: ProofMemory, codec: str = "auto") -> list[str]:
    """Makes every product use its fused codec where it is proven; proves only what the memory does not know.

    codec: `construct` proves nothing; with `fused` a kind of frame that is not proven is an error. Returns the ids of
    the products that were proven now. Raises SpecError for `fused`.
    """
    if codec == "construct":
        return []
    fresh = []
    problems: list[SpecProblem] = []
    for product_id, loaded in catalog.products.items():
        proven = memory.find(loaded)
        if proven is None:
            proven = prove_product(loaded)
            memory.keep(loaded, proven)
            fresh.append(product_id)
        else:
            apply_proof(loaded, proven)
        if codec == "fused":
            for line in codec_report(loaded, proven):
                slow = {f"{line.kind} frames": line.why} if line.codec == "construct" else {}
                slow |= {f"`{message}` in {line.kind} frames": why for message, why in line.others.items()}
                problems += [
                    SpecProblem(loaded.source, 0, 0, "", f"{what} cannot use `codec: fused`: {why}")
                    for what, why in slow.items()
                ]
    if problems:
        raise SpecError(problems)
    return fresh
