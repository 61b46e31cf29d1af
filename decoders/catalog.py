"""The catalog: all products that are ready to run, built from texts. Reads no files itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from decoders.compile import MAX_ROWS, compile_spec
from decoders.errors import DecodeCode, SpecError, SpecProblem
from decoders.golden import GoldenCase, GoldenFile, parse_golden
from decoders.product import CompiledProduct
from decoders.spec.extends import Shelf, SpecText, extended
from decoders.spec.model import SpecFile
from decoders.spec.problems import MAX_PROBLEMS, nearest
from decoders.spec.source import Document, load, validate
from decoders.spec.variants import variant_document

__all__ = ["Catalog", "LoadedProduct", "UnknownProduct", "build_product", "digest_of"]

_ERROR_CODES = frozenset(code.value for code in DecodeCode)


@dataclass(frozen=True, eq=False)
class LoadedProduct:
    """A compiled product with the texts it was made from.

    folder: name of its folder. source: name of the spec file, for people. digest: of the spec, the specs that it
    extends, and its golden files. golden_texts, golden, golden_documents: by name of the golden file; the texts are
    read when somebody asks for them, who then may get a SpecError if nobody asked before. bases: files of the specs
    that it extends, the nearest first.
    """

    product: CompiledProduct
    folder: str
    source: str
    digest: str
    document: Document
    golden_texts: Mapping[str, str] = field(default_factory=dict)
    bases: tuple[str, ...] = ()

    @cached_property
    def _read(self) -> _Golden:
        return _golden_of(self.golden_texts, self.product)

    @property
    def golden(self) -> Mapping[str, GoldenFile]:
        return self._read.files

    @property
    def golden_documents(self) -> Mapping[str, Document]:
        return self._read.documents

    def cases(self, variant: str = "") -> list[GoldenCase]:
        """All golden cases of a variant; of the product itself for ""."""
        return [case for file in self.golden.values() for case in file.cases if case.variant == variant]

    def forms(self) -> dict[str, CompiledProduct]:
        """The product itself under "", and its variants by name."""
        return {"": self.product, **self.product.variants}


def digest_of(spec_text: str, golden_texts: Mapping[str, str], bases: Iterable[str] = ()) -> str:
    """SHA-256 in hex of a spec, the specs that it extends and its golden files, whatever folder they are in."""
    digest = hashlib.sha256()
    for base in bases:
        digest.update(b"extends:")
        digest.update(hashlib.sha256(base.encode("utf-8", "surrogatepass")).digest())
    for text in (spec_text, *(golden_texts[source] for source in sorted(golden_texts))):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def build_product(
    folder_name: str,
    spec_text: str,
    source: str,
    golden_texts: Mapping[str, str],
    codec: str = "auto",
    shelf: Shelf | None = None,
    *,
    check_golden: bool = True,
) -> LoadedProduct:
    """Compiles the texts of one spec folder.

    source: name of the spec file. golden_texts: text by name of the golden file. codec: `auto`, `construct` or `fused`.
    shelf: the specs that it may extend. check_golden: read the golden files now, not when they are first needed. Raises
    SpecError with every problem of every file that was read.
    """
    problems: list[SpecProblem] = []
    bases: list[SpecText] = []
    digest = ""
    product: CompiledProduct | None = None
    document: Document | None = None
    try:
        document, bases = extended(load(spec_text, source), shelf or Shelf())
        digest = digest_of(spec_text, golden_texts, [base.text for base in bases])
        product = _compile(document, digest, codec)
    except SpecError as error:
        problems += error.problems
    if product is None or document is None:
        try:
            _golden_of(golden_texts, None)
        except SpecError as error:
            problems += error.problems
        raise SpecError(problems)
    files = tuple(base.source for base in bases)
    loaded = LoadedProduct(product, folder_name, source, digest, document, golden_texts, files)
    if check_golden:
        loaded.golden  # noqa: B018 - raises SpecError
    return loaded


@dataclass(slots=True)
class _Golden:
    """The golden files of a product, read."""

    files: dict[str, GoldenFile] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


def _golden_of(texts: Mapping[str, str], product: CompiledProduct | None) -> _Golden:
    """product: None where it has no sound spec; what the cases name is not looked at then. Raises SpecError."""
    golden, problems = _Golden(), list[SpecProblem]()
    for name, text in texts.items():
        try:
            document = golden.documents[name] = load(text, name)
            file = golden.files[name] = parse_golden(document)
        except SpecError as error:
            problems += error.problems
        else:
            problems += _case_problems(product, file, document) if product is not None else []
    if problems:
        raise SpecError(problems)
    return golden


def _compile(document: Document, digest: str, codec: str) -> CompiledProduct:
    spec = validate(SpecFile, document)
    product = compile_spec(spec, document, digest=digest, codec=codec)
    problems: list[SpecProblem] = []
    rows = product.rows
    for name, changes in spec.variants.items():
        path = ("variants", name)
        if rows > MAX_ROWS:
            what = f"the variants have more than {MAX_ROWS} rows together"
            problems.append(SpecProblem(*document.where(path), document.path_text(path), what, "make several products"))
            break
        for key in ("product", "extends", "variants"):
            if key in changes:
                where = document.where((*path, key), key=True)
                text = document.path_text((*path, key))
                problems.append(SpecProblem(*where, text, f"a variant cannot change `{key}`", "remove this key"))
        try:
            changed = variant_document(document, name, changes)
            product.variants[name] = compile_spec(validate(SpecFile, changed), changed, digest=digest, codec=codec)
            rows += product.variants[name].rows
        except SpecError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            if len(problems) >= MAX_PROBLEMS:
                break
    if problems:
        raise SpecError(problems)
    return product


def _case_problems(product: CompiledProduct, file: GoldenFile, document: Document) -> list[SpecProblem]:
    """Words of golden cases that name nothing: they would let a case pass that tests something else."""
    problems = []
    names: set[str] = set()

    def report(index: int, key: str, message: str, word: str, words: Iterable[str], part: str = "cases") -> None:
        path = (part, index, key)
        close = nearest(word, words)
        hint = f"did you mean `{close}`?" if close else ""
        problems.append(SpecProblem(*document.where(path), document.path_text(path), message, hint))

    for index, case in enumerate(file.cases):
        if case.name in names:
            report(index, "name", f"two cases are called `{case.name}`", "", ())
        names.add(case.name)
        form = product.variants.get(case.variant) if case.variant else product
        if form is None:
            report(index, "variant", f"no variant `{case.variant}`", case.variant, product.variants)
        elif case.message is not None and case.message not in form.messages:
            report(index, "message", f"no message `{case.message}`", case.message, form.messages)
        if case.error is not None and case.error not in _ERROR_CODES:
            report(index, "error", f"no error code `{case.error}`", case.error, _ERROR_CODES)
    for index, build in enumerate(file.builds):
        if build.name in names:
            report(index, "name", f"two cases are called `{build.name}`", "", (), "builds")
        names.add(build.name)
        form = product.variants.get(build.variant) if build.variant else product
        if form is None:
            report(index, "variant", f"no variant `{build.variant}`", build.variant, product.variants, "builds")
        elif build.message not in form.messages:
            report(index, "message", f"no message `{build.message}`", build.message, form.messages, "builds")
    return problems


def _listed(words: Iterable[str]) -> str:
    return f"there are {', '.join(words) or 'none'}"


class UnknownProduct(LookupError):
    """No product of that name, or one that does not speak there. The text names the nearest one."""

    @classmethod
    def among(cls, product_id: str, known: Iterable[str]) -> UnknownProduct:
        """known: ids of the products that there are."""
        close = nearest(product_id, known)
        return cls(f"no product `{product_id}` ({f'did you mean `{close}`?' if close else _listed(known)})")


@dataclass(slots=True, frozen=True)
class Catalog:
    """All products by id, in order. Immutable: a reload makes a new one with the next generation.

    digest: of all products together. generation: counts up with every reload, from 1.
    """

    products: Mapping[str, LoadedProduct]
    digest: str
    generation: int = 1

    @classmethod
    def of(cls, products: Iterable[LoadedProduct], generation: int = 1) -> Catalog:
        """Raises SpecError when two files claim one id; each problem names both."""
        known: dict[str, LoadedProduct] = {}
        problems = []
        for loaded in products:
            other = known.setdefault(loaded.product.id, loaded)
            if other is not loaded:
                where = loaded.document.where(("product",))
                message = f"the product `{loaded.product.id}` is also in {other.source}"
                problems.append(SpecProblem(*where, "product", message, "give one of them another id"))
        if problems:
            raise SpecError(problems)
        ordered = dict(sorted(known.items()))
        digest = hashlib.sha256("".join(loaded.digest for loaded in ordered.values()).encode()).hexdigest()
        return cls(ordered, digest, generation)

    def find(self, product_id: str) -> LoadedProduct:
        """Raises UnknownProduct with the nearest id."""
        found = self.products.get(product_id)
        if found is None:
            raise UnknownProduct.among(product_id, self.products)
        return found

    def candidates(self, names: Sequence[str], transport: str) -> list[CompiledProduct]:
        """Products that may speak on a listener of this transport, in the order in which they are tried.

        names: as the listener says; empty: all that speak the transport. Raises UnknownProduct.
        """
        if not names:
            return [item.product for item in self.products.values() if transport in item.product.spec.transports]
        found = [self.find(name).product for name in dict.fromkeys(names)]
        for product in found:
            if transport not in product.spec.transports:
                spoken = ", ".join(product.spec.transports)
                raise UnknownProduct(f"the product `{product.id}` does not speak {transport} (it speaks {spoken})")
        return found
