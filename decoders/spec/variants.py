"""`variants:` of a spec: the same data with some keys changed, and still with the place of every value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decoders.errors import SpecError, SpecProblem
from decoders.spec.overlay import LayeredDocument, Place, lay_over, place_in
from decoders.spec.source import Document

KEY = "variants"


def variant_document(document: Document, name: str, changes: Mapping[str, Any]) -> LayeredDocument:
    """The document of one variant: the spec's data without `variants`, with the variant's changes laid over it.

    Raises SpecError for rows that it changes and that are not there.
    """
    problems: list[SpecProblem] = []
    base = {key: value for key, value in document.data.items() if key != KEY}
    own = place_in(document, (KEY, name))
    data, merged = lay_over(base, place_in(document), changes, own, problems)
    if problems:
        raise SpecError(problems)
    # What the whole is to blame for stands with the variant, since the spec without it is sound.
    top = Place(own.document, own.path, {key: merged.child(key) for key in data})
    return LayeredDocument(document.source, data, document._root, top)
