"""`json:` and `csv:` of a spec -> how its documents are read, with every mistake named by its place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.clocks import COUNTERS
from decoders.csv_lines import SKIPPED, CsvCodec, CsvLines
from decoders.document import COMMON_NAMES, JsonCodec, JsonMessage, parse_path, path_text
from decoders.document import Path as DocumentPath
from decoders.document_frame import DocumentFrame
from decoders.document_values import DocumentFields, document_fields
from decoders.layout import Nodes, Value, least_size
from decoders.reference.codec import FrameLayout, ReferenceCodec
from decoders.spec import model
from decoders.spec.frames import FramePlan
from decoders.spec.model_conversion import absent_values
from decoders.spec.notes import Path, Report, Structure, ValueNote
from decoders.spec.problems import nearest
from decoders.spec.words import without_size

__all__ = [
    "DocumentSource",
    "csv_bodies",
    "document_frame",
    "holds_values",
    "is_document",
    "is_document_only",
    "json_bodies",
    "named_values",
    "spoken",
    "with_types",
]

_MAX_COLUMNS = 512
_NUMBER_TYPE = re.compile("[uif][0-9]{1,2}(le|be)?")
_WORD_OR_NUMBER = {"type": "number", "bytes": "rest"}


@dataclass(slots=True)
class DocumentSource:
    """A message that comes as a document. loose: values whose rows say no type, and of which nothing is known. final:
    its documents hold values, not what its rows would read."""

    name: str
    spec: model.MessageSpec
    path: Path
    body: Nodes
    structure: Structure
    loose: set[str] = field(default_factory=set)
    long_form: bool = True  # `json:` says `values`, and is not itself the mapping
    final: bool = True

    @property
    def fields(self) -> DocumentFields:
        return document_fields(self.body, self.structure, self.loose, final=self.final)


def spoken(spec: model.MessageSpec, whole: model.SpecFile) -> model.MessageSpec:
    """The message as it comes: where all frames hold one kind of document, no message needs to say that it does."""
    frames = [whole.frame] if whole.frame is not None else list(whole.frames.values())
    formats = {frame.format for frame in frames}
    if spec.downlink or spec.when or spec.frame == "none" or len(formats) != 1:
        return spec
    if formats == {"json"} and spec.json_ is None:
        return spec.model_copy(update={"json_": True})
    return spec.model_copy(update={"csv": True}) if formats == {"csv"} else spec


def is_document(spec: model.MessageSpec) -> bool:
    """True for a message that comes as JSON or CSV, perhaps among other forms."""
    return bool(spec.json_) or spec.csv


def is_document_only(spec: model.MessageSpec, whole: model.SpecFile) -> bool:
    """True for a message that comes as JSON or CSV and in no frame of bytes: its `frame` names only such kinds; or
    nothing says when frames of bytes are it, though something does for other messages or for its JSON; or its rows
    cannot be read from bytes."""
    if not is_document(spec) or spec.downlink:
        return False
    if spec.frame is not None:
        kinds = [spec.frame] if isinstance(spec.frame, str) else spec.frame
        return all(name in whole.frames and whole.frames[name].format in ("json", "csv") for name in kinds)
    if whole.frame is not None and whole.frame.format in ("json", "csv"):
        return True
    if spec.when:
        return False
    told = isinstance(spec.json_, model.JsonSpec) and bool(spec.json_.when)
    others = any(other.when and not other.downlink for other in whole.messages.values())
    frames = [whole.frame] if whole.frame is not None else list(whole.frames.values())
    text = any(frame.format == "text" for frame in frames)  # whose rows need neither type nor size
    return told or others or not (spec.fields or spec.items) or (not text and _unreadable(spec.fields))


def holds_values(spec: model.MessageSpec, whole: model.SpecFile) -> bool:
    """True for a message whose documents hold final values, since its rows say how its frames of bytes read: it comes
    in such frames, or something says which payloads are it."""
    framed = whole.frame is not None or bool(whole.frames)
    return not is_document_only(spec, whole) and (framed or bool(spec.when))


def _unreadable(rows: Sequence[Any]) -> bool:
    return any(
        _is_loose(row)
        or _is_unsized(row)
        or (isinstance(row, model.GroupRow | model.ListRow) and _unreadable(row.fields))
        for row in rows
    )


def _is_loose(row: Any) -> bool:
    return isinstance(row, model.ValueRow) and not row.type and row.crc is None and row.const is None


def _is_unsized(row: Any) -> bool:
    return isinstance(row, model.ValueRow) and without_size(row.type) and row.bytes is None and row.prefix is None


def with_types(rows: Sequence[Any], loose: set[str]) -> list[Any]:
    """Rows of a message that is never read from bytes: a type or size that is not said does not matter. Values of
    which nothing is known are added to `loose`."""
    found = []
    for row in rows:
        if isinstance(row, model.GroupRow | model.ListRow) and row.fields:
            row = row.model_copy(update={"fields": with_types(row.fields, loose)})
        elif _is_loose(row):
            row = row.model_copy(update=_likely(row, loose))
        elif _is_unsized(row):
            row = row.model_copy(update={"bytes": "rest"})
        elif _has_words(row) and _NUMBER_TYPE.fullmatch(row.type):
            row = row.model_copy(update=_WORD_OR_NUMBER)
        found.append(row)
    return found


def _has_words(row: Any) -> bool:
    """True for a row with a sentinel that is no number, such as `N/A`."""
    if not isinstance(row, model.ValueRow):
        return False
    texts = [value for value in absent_values(row.absent) if isinstance(value, str)]
    return any(not re.fullmatch(r"[-+]?[0-9.][0-9A-Fa-fxX.+-]*", text) for text in texts)


def _likely(row: model.ValueRow, loose: set[str]) -> dict[str, Any]:
    """Type and size of a row that says none."""
    if row.clock is not None:
        number = "since" in row.clock or row.clock in COUNTERS
        return {"type": "u64"} if number else {"type": "text", "bytes": "rest"}
    if row.name == "time" or row.timestamp is not None:
        return {"type": "unix32"}
    if row.bits or row.flags is not None:
        return {"type": "number", "bytes": "rest"}
    scaled = not row.model_fields_set.isdisjoint(("scale", "offset", "raw_offset"))
    if scaled or (row.enum is None and (row.unit or row.range is not None or row.decimals is not None)):
        return _WORD_OR_NUMBER if _has_words(row) else {"type": "f64"}
    loose.add(row.name)
    return {"type": "text", "bytes": "rest"}


def named_values(spec: model.MessageSpec, whole: model.SpecFile, structure: Structure, path: Path) -> None:
    """A document's message without rows has the values that its paths, or the columns of its lines, name."""
    if spec.fields or spec.items is not None:
        return
    names = list(spec.json_.values) if isinstance(spec.json_, model.JsonSpec) else []
    if spec.csv:
        frames = [whole.frame] if whole.frame is not None else list(whole.frames.values())
        for frame in frames:
            names += [*frame.csv.columns, *frame.csv.values] if frame.csv is not None else []
    for name in dict.fromkeys(names):
        if name not in COMMON_NAMES and name != SKIPPED:
            timed = name == "time"
            structure.add(ValueNote(name, path, clock=timed, timestamp="device" if timed else "", conditional=True))


def document_frame(
    plan: FramePlan, layout: FrameLayout, sources: Sequence[DocumentSource], report: Report
) -> DocumentFrame | None:
    """How frames of a kind that holds documents read; None where a problem was reported."""
    codec: JsonCodec | CsvCodec | None
    if plan.document == "csv":
        codec = csv_codec(plan.lines or model.CsvSpec(), (*plan.path, "csv"), sources, report)
    else:
        codec = json_codec(sources, report)
        if not sources:
            report(plan.path, "no message comes as JSON", "add `json: true` to those that do")
    if codec is None:
        return None
    if not plan.marks_only:
        return DocumentFrame(codec, envelope=ReferenceCodec(replace(layout, messages={}, selectors=())))
    kept = plan.document == "json" and _closes_json(plan)
    return DocumentFrame(codec, least_size(plan.header), 0 if kept else plan.trailer_size)


def _closes_json(plan: FramePlan) -> bool:
    """The mark at the end is the end of the document."""
    mark = plan.trailer[-1] if plan.trailer else None
    return isinstance(mark, Value) and mark.const in ("7d", "5d")


# JSON


def json_bodies(sources: Iterable[DocumentSource], report: Report) -> JsonCodec | None:
    """How bodies without a frame read."""
    mine = [source for source in sources if source.spec.json_]
    return json_codec(mine, report) if mine else None


def json_codec(sources: Iterable[DocumentSource], report: Report) -> JsonCodec:
    """How the messages with `json:` read."""
    return JsonCodec([_json_message(source, report) for source in sources if source.spec.json_])


def _json_message(source: DocumentSource, report: Report) -> JsonMessage:
    fields, records = source.fields, source.spec.records or ""
    given = source.spec.json_ if isinstance(source.spec.json_, model.JsonSpec) else model.JsonSpec()
    path: Path = (*source.path, "json")
    when = tuple((_path(text, (*path, "when", text), report), value) for text, value in given.when.items())
    known = fields.names | {name for group in fields.groups.values() for name in group.names}
    place = (*path, "values") if source.long_form else path
    values = _paths(given.values, known, place, report, "value of this message")
    items: Mapping[str, DocumentPath] = {}
    records_at = None
    if given.records is not None:
        records_at = _path(given.records, (*path, "records"), report, each=True)
        if not records:
            hint = "add `records: name`, and the list of this name to `fields`"
            report((*path, "records"), "the message has no `records`, so nothing can become of these items", hint)
    if given.items:
        inner = fields.lists.get(records)
        if inner is None and records:
            report((*path, "items"), f"`{records}` is no list of this message", "a row `{list: name, fields: [...]}`")
        elif inner is None:
            report((*path, "items"), "these are items of `records`, which the message does not have", "add `records`")
        else:
            what, place = f"value of an item of `{records}`", (*path, "items")
            items = _paths(given.items, inner.names, place, report, what, around=records_at or ())
    outer = {name: found for name, found in ((name, _outer(at, records_at)) for name, at in items.items()) if found}
    items = {name: at for name, at in items.items() if name not in outer}
    keeps = source.spec.extra == "keep"
    return JsonMessage(source.name, fields, when, values, records, records_at, items, outer, keeps)


def _outer(path: DocumentPath, records_at: DocumentPath | None) -> tuple[int, DocumentPath] | None:
    """The path of a value that stands in an item of a list around that of the records: in which, and where there."""
    if None not in path or records_at is None:
        return None
    last = len(path) - path[::-1].index(None)  # behind it the path goes on within one item
    return path[:last].count(None) - 1, path[last:]


def _paths(
    given: Mapping[str, str],
    known: Iterable[str],
    path: Path,
    report: Report,
    what: str,
    around: DocumentPath = (),
) -> dict[str, DocumentPath]:
    """around: path of the list of records; one that begins with what is before the last `[]` in it is allowed."""
    known = set(known)
    found = {}
    for name, text in given.items():
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean `{close}`?" if close else f"add a row for it; there are {', '.join(sorted(known))}"
            report((*path, name), f"`{name}` is no {what}", hint)
        found[name] = _path(text, (*path, name), report, around=around)
    return found


def _path(text: str, path: Path, report: Report, *, each: bool = False, around: DocumentPath = ()) -> DocumentPath:
    """each: `[]` may stand in it. around: of an item of the list there; `[]` stands for items that it is in."""
    try:
        found = parse_path(text)
    except ValueError as error:
        report(path, str(error), "such as `data.temp` or `a[0].b`")
        return ()
    if None not in found or each:
        return found
    last = len(found) - found[::-1].index(None)
    if found[:last] != around[:last] or last == len(around):
        outer = around[: len(around) - around[::-1].index(None)] if None in around[:-1] else ()
        hint = f"of a list around: `{path_text(outer)}.name`" if outer else "name one item: `a[0]`"
        report(path, f"`{text}`: `[]` is for `records` only", hint)
        return ()
    return found


# CSV


def csv_bodies(sources: Iterable[DocumentSource], report: Report) -> CsvCodec | None:
    """How lines without a frame read: their columns are named by the first one."""
    mine = [source for source in sources if source.spec.csv]
    return csv_codec(model.CsvSpec(), mine[0].path, mine, report) if len(mine) == 1 else None


def csv_codec(given: model.CsvSpec, path: Path, sources: Sequence[DocumentSource], report: Report) -> CsvCodec | None:
    """How lines read; None when no message can be found for them."""
    mine = [source for source in sources if source.spec.csv]
    words = [source.name for source in mine]
    if given.message is not None:
        mine = [source for source in sources if source.name == given.message]
        if not mine:
            close = nearest(given.message, words)
            hint = f"did you mean `{close}`?" if close else f"messages with `csv: true`: {', '.join(words) or 'none'}"
            report((*path, "message"), f"no message `{given.message}` comes as CSV", hint)
            return None
    if len(mine) != 1:
        hint = f"say which: `message: {words[0]}`" if words else "add `csv: true` to the message that a line is"
        report(path, f"{len(mine)} messages come as CSV, a line is one of them", hint)
        return None
    (source,) = mine
    fields = source.fields
    known = {*fields.cells, *COMMON_NAMES}
    if len(given.columns) > _MAX_COLUMNS:
        report((*path, "columns"), f"a line has at most {_MAX_COLUMNS} columns", "")
    seen: set[str] = set()
    for index, name in enumerate(given.columns):
        if name == SKIPPED:
            continue
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean `{close}`?" if close else "`-` is for a column that means nothing"
            report((*path, "columns", index), f"`{name}` is no value of `{source.name}`", hint)
        if name in seen:
            report((*path, "columns", index), f"two columns are called `{name}`", "`-` is for one that means nothing")
        seen.add(name)
    titles = _titles(given, known, path, report, source.name)
    lines = CsvLines(tuple(given.columns), given.delimiter, given.encoding, titles, given.header)
    return CsvCodec(source.name, fields, lines)


def _titles(given: model.CsvSpec, known: set[str], path: Path, report: Report, message: str) -> dict[str, str]:
    """What the first line calls the columns, by value."""
    if given.header and not given.columns:
        hint = "remove it: without `columns` the first line always names them"
        report((*path, "header"), "nothing else says what the columns are", hint)
    seen: dict[str, str] = {}
    for name, title in given.values.items():
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean `{close}`?" if close else f"value -> column, such as `{min(known)}: {title}`"
            report((*path, "values", name), f"`{name}` is no value of `{message}`", hint)
        word = title.casefold().strip()
        if word in seen:
            report((*path, "values", name), f"`{seen[word]}` is in the same column", "one column gives one value")
        seen.setdefault(word, name)
    return dict(given.values)
