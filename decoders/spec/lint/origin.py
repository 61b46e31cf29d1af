"""Rules on the spec as a whole: what it is, where it is from, where it lies."""

from __future__ import annotations

from collections.abc import Iterator

from decoders.errors import SpecProblem
from decoders.spec.lint.subject import Rule, Subject

__all__ = ["ORIGIN_RULES"]


def _no_origin(subject: Subject) -> Iterator[SpecProblem]:
    for key, fix in (("title", "say what the product is"), ("source", "name the vendor's document and its version")):
        if not getattr(subject.spec, key):
            yield subject.problem("no_origin", ("product",), f"the spec has no `{key}`", fix)


def _folder(subject: Subject) -> Iterator[SpecProblem]:
    product_id, folder = subject.spec.product, subject.loaded.folder
    if folder != product_id:
        message = f"the product `{product_id}` stands in the folder `{folder}`"
        yield subject.problem("folder_name", ("product",), message, f"call the folder `{product_id}`")


ORIGIN_RULES = (
    Rule(
        *("no_origin", "warning", "a spec says what it is and where it is from"),
        *("give it a `title` and a `source`", _no_origin),
        whole=True,
    ),
    Rule(
        *("folder_name", "warning", "a folder is called like its product"),
        *("call the folder like the product", _folder),
        whole=True,
    ),
)
