"""`extends:` of a spec: its data laid over the data of another product's spec, which may extend a third one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decoders.errors import SpecError, SpecProblem
from decoders.spec.overlay import LayeredDocument, Place, lay_over, place_in
from decoders.spec.problems import nearest
from decoders.spec.source import Document, load

__all__ = ["MAX_CHAIN", "Shelf", "SpecText", "extended"]

KEY = "extends"
MAX_CHAIN = 8
"""Specs that may extend each other in a row, the first one counted."""


@dataclass(slots=True, frozen=True)
class SpecText:
    """A spec file. product: the id it declares."""

    product: str
    source: str
    text: str


class Shelf:
    """All specs that others may extend, folder by folder; of later folders the products count, as in the catalog."""

    def __init__(self, folders: Sequence[Sequence[SpecText]] = ()) -> None:
        self._folders = [_by_product(folder) for folder in folders]
        self._folder_of = {text.source: index for index, folder in enumerate(folders) for text in folder}

    def find(self, product: str, source: str) -> SpecText | None:
        """The spec that `source` means: of its own folder, else of those before it, the nearest first, else of those
        behind it. Never itself: so a folder's spec may extend the one of the same id that it replaces."""
        own = self._folder_of.get(source, len(self._folders) - 1)
        for folder in (*reversed(self._folders[: own + 1]), *self._folders[own + 1 :]):
            found = folder.get(product)
            if found is not None and found.source != source:
                return found
        return None

    def products(self) -> set[str]:
        return {product for folder in self._folders for product in folder}


def _by_product(folder: Sequence[SpecText]) -> dict[str, SpecText]:
    """Of two files with one id, which the catalog refuses, the first."""
    return {text.product: text for text in reversed(folder)}


def extended(document: Document, shelf: Shelf) -> tuple[Document, list[SpecText]]:
    """The document with the specs that it extends below it, and these, the nearest first.

    Raises SpecError: a product that is not there, a circle, a chain that is too long, rows to change that are not
    there, and whatever is no YAML in the other files.
    """
    chain = [document]
    bases: list[SpecText] = []
    while (wanted := _wanted(chain[-1])) is not None:
        base = shelf.find(wanted, chain[-1].source)
        if base is None:
            names = shelf.products() - {_product(chain[-1])}
            close = nearest(wanted, names)
            hint = f"did you mean `{close}`?" if close else "the id of another product, `product:` in its spec"
            if wanted == _product(chain[-1]):
                hint = "a spec cannot extend itself, only one of the same id in another folder"
            raise SpecError([_problem(chain[-1], f"there is no product `{wanted}` to extend", hint)])
        if any(base.source == other.source for other in chain):
            circle = " -> ".join([*(_product(other) for other in chain), wanted])
            raise SpecError([_problem(chain[-1], f"specs extend each other in a circle: {circle}", "remove one")])
        if len(chain) >= MAX_CHAIN:
            message = f"more than {MAX_CHAIN} specs extend each other"
            raise SpecError([_problem(chain[-1], message, "extend one that is nearer to the first")])
        bases.append(base)
        chain.append(load(base.text, base.source))
    if not bases:
        return document, []
    problems: list[SpecProblem] = []
    below = chain.pop()
    if not isinstance(below.data, dict):
        raise SpecError([SpecProblem(*below.where(()), "", "expected a spec: a mapping of keys")])
    for above in reversed(chain):
        below = _over(below, above, problems)
    if problems:
        raise SpecError(problems)
    return below, bases


def _over(below: Document, above: Document, problems: list[SpecProblem]) -> Document:
    base = {key: value for key, value in below.data.items() if key not in (KEY, "product")}
    data, merged = lay_over(base, place_in(below), above.data, place_in(above), problems)
    # What the whole file is to blame for stands in the file that extends.
    top = Place(above, (), {key: merged.child(key) for key in data})
    return LayeredDocument(above.source, data, above._root, top)


def _wanted(document: Document) -> str | None:
    """Id of the product that a spec extends; what is no spec at all is said when it is checked."""
    found = document.data.get(KEY) if isinstance(document.data, dict) else None
    return found if isinstance(found, str) else None


def _product(document: Document) -> str:
    return str(document.data.get("product", document.source)) if isinstance(document.data, dict) else document.source


def _problem(document: Document, message: str, hint: str) -> SpecProblem:
    return SpecProblem(*document.where((KEY,)), KEY, message, hint)
