"""`spec docs`: a page for people about a product, in Markdown: frames, messages, names, replies, examples, contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeError
from decoders.explain import explain
from decoders.framing.framer import cut
from decoders.framing.plan import FixedSize, FrameKind, LengthField, StopBytes, WholeChunk
from decoders.golden import GoldenCase
from decoders.layout import fixed_size
from decoders.plan import DedupPlan
from decoders.product import CompiledProduct
from decoders.spec import model
from decoders.spec.dedup_keys import dedup_text
from decoders.spec.node_words import node_size, spelled
from decoders.spec.notes import Structure
from decoders.spec.show import ShownRow, frame_layouts, frame_rows, message_rows, when_text

__all__ = ["markdown_table", "product_page"]

_FIELDS = ("offset", "size", "type", "name", "scale", "unit", "note")
_MAX_EXAMPLES = 2  # of each message
_MAX_LINES = 60  # of one example
_MAX_HEX = 48
_INDENT = "\u2003"


def product_page(loaded: LoadedProduct) -> str:
    """The whole page. Deterministic."""
    product, spec = loaded.product, loaded.product.spec
    parts = [
        f"# {spec.title or spec.product}",
        *_about(product),
        *_frames(product),
        *_messages(product),
        *_names("Enums", "value", spec.enums),
        *_names("Flags", "bit", spec.flags),
        *_contract(product),
        *_variants(loaded),
        *_examples(loaded),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; "" when there are no rows. Columns that are empty in all rows are left out."""
    lines = [[_cell(value) for value in row] for row in rows]
    if not lines:
        return ""
    kept = [index for index in range(len(columns)) if any(line[index] for line in lines)]
    head = [columns[index] for index in kept]
    shown = [f"| {' | '.join(head)} |", f"|{'---|' * len(kept)}"]
    return "\n".join([*shown, *(f"| {' | '.join(line[index] for index in kept)} |" for line in lines)])


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _about(product: CompiledProduct) -> Iterator[str]:
    spec = product.spec
    order = {"big": "big-endian", "little": "little-endian"}[spec.endian]
    rows = [
        ("product", _code(spec.product)),
        ("version", spec.version),
        ("vendor", spec.vendor),
        ("source", spec.source),
        ("spoken over", ", ".join(spec.transports)),
        ("integers", f"{order}, unless a type says otherwise"),
        ("local times", f"in the zone {spec.zone}, unless a login or a row says another"),
        ("variants", ", ".join(spec.variants)),
    ]
    yield markdown_table(("", ""), [row for row in rows if row[1]])
    yield spec.note


# Frames


def _frames(product: CompiledProduct) -> Iterator[str]:
    found = frame_layouts(product)
    if not found:
        yield "## Frames\n\nThe whole payload is one message."
        return
    yield "## Frames"
    for kind in product.kinds:
        frame = kind.layout
        yield f"### {frame.name}"
        yield f"{_cut_rule(kind.kind)} At most {kind.kind.max_bytes} bytes."
        if kind.escape is not None:
            yield f"Between its marks it is written otherwise ({type(kind.escape).__name__.lower()})."
        nodes = [(getattr(node, "name", "") or "-", node_size(node)) for node in frame.header]
        nodes += [("**message**", "n")]
        nodes += [(getattr(node, "name", "") or "-", node_size(node)) for node in frame.trailer]
        names, sizes = (" | ".join(_cell(node[index]) for node in nodes) for index in (0, 1))
        yield f"| {names} |\n|{':-:|' * len(nodes)}\n| {sizes} |"
        yield _rows(row for row in frame_rows(product, frame) if row.name != "(message)")


def _cut_rule(kind: FrameKind) -> str:
    rule = kind.size
    begins = [_byte(allowed) for allowed in kind.begins]
    start = f"A frame begins with `{' '.join(begins)}`. " if begins else ""
    match rule:
        case LengthField():
            return f"{start}Its length stands at offset {rule.offset}, {_bytes(rule.size)} long."
        case StopBytes():
            stops = " or ".join(f"`{stop.hex(' ')}`" for stop in rule.stops)
            return f"{start}It ends with {stops}."
        case FixedSize():
            return f"{start}It has {_bytes(rule.size)}."
        case WholeChunk():
            return f"{start}What arrives together is one frame."
    return f"{start}Its size is computed from its first bytes."


def _bytes(size: int) -> str:
    return "1 byte" if size == 1 else f"{size} bytes"


def _byte(allowed: frozenset[int] | None) -> str:
    if allowed is None:
        return "??"
    values = sorted(allowed)
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]:02x}-{values[-1]:02x}"
    return "/".join(f"{value:02x}" for value in values[:4]) + ("…" if len(values) > 4 else "")


def _rows(rows: Iterable[ShownRow]) -> str:
    """Lines of a layout table, with the depth of a name kept as wide blanks."""
    shown = []
    for row in rows:
        depth = (len(row.name) - len(row.name.lstrip())) // 2
        name = _INDENT * depth + _code(row.name.strip())
        shown.append([row.offset, row.size, row.type, name, _code(row.scale), row.unit, row.note])
    return markdown_table(_FIELDS, shown)


# Messages


def _messages(product: CompiledProduct) -> Iterator[str]:
    spec = product.spec
    yield "## Messages"
    overview = []
    for name, message in spec.messages.items():
        becomes = "sent by the gateway" if message.downlink else product.messages[name].record
        others = "-" if message.downlink else "all others"
        overview.append([f"[{name}](#{_anchor(name)})", when_text(message) or others, becomes, message.title])
    yield markdown_table(("message", "when", "record", ""), overview)
    for name, message in spec.messages.items():
        yield f"### {name}"
        yield "\n\n".join(part for part in (message.title, message.note) if part)
        rows = message_rows(product, name)[1:]
        known = [kind.layout.messages[name] for kind in product.kinds if name in kind.layout.messages]
        size = fixed_size(known[0].body) if known else None
        if rows:
            yield f"The body has {_bytes(size)}." if size is not None else ""
            yield _rows(rows)
        else:
            yield "It has no body."
        if message.rest == "skip":
            yield "Bytes behind these rows are ignored."
        yield _document(message)
        if message.records:
            yield f"Each item of `{message.records}` becomes a record."
        yield _copies(product.messages[name].dedup)
        yield _replies(message.replies, "It is answered with:")
    yield _replies(spec.unknown_message, "A sound frame that is none of these is answered with:")


def _anchor(name: str) -> str:
    return name.lower()


def _document(message: model.MessageSpec) -> str:
    given = message.json_
    if not given:
        return ""
    values = getattr(given, "values", {}) if isinstance(given, model.JsonSpec) else {}
    table = markdown_table(("value", "path"), [[_code(name), _code(path)] for name, path in values.items()])
    return "It also comes as JSON" + (f":\n\n{table}" if table else ", its values by name.")


def _copies(plan: DedupPlan | None) -> str:
    known = dedup_text(plan)
    return f"Sent again it makes no second record: a copy is known by {known} messages of its device." if known else ""


def _replies(replies: Sequence[model.Reply], head: str) -> str:
    if not replies:
        return ""
    lines = []
    for reply in replies:
        with_ = ", ".join(f"`{name}` = `{formula}`" for name, formula in reply.with_.items())
        what = (
            f"the message `{reply.message}`" + (f" with {with_}" if with_ else "")
            if reply.message is not None
            else f"the bytes `{reply.hex}`"
            if reply.hex is not None
            else f"the text `{reply.text}`"
        )
        lines.append(f"- {what}" + (f", if `{reply.if_}`" if reply.if_ else ""))
    return "\n".join([head, "", *lines])


def _names(title: str, column: str, tables: Mapping[str, Mapping[Any, Any]]) -> Iterator[str]:
    if not tables:
        return
    yield f"## {title}"
    for name, table in tables.items():
        yield f"### {title.lower()[:-1] if title == 'Enums' else title.lower()} {name}"
        yield markdown_table(
            (column, "name"), [[_key(key), "no value" if word is None else word] for key, word in table.items()]
        )


def _key(key: Any) -> str:
    if key == "_":
        return "every other"
    return f"{key} ({spelled(key)})" if isinstance(key, int) and key > 9 else str(key)


# Contract


def _contract(product: CompiledProduct) -> Iterator[str]:
    lines: dict[tuple[str, ...], list[str]] = {}
    for name, plan in product.messages.items():
        if product.spec.messages[name].downlink:
            continue
        for path, span, required in _rules(plan.notes, ""):
            lines.setdefault((path, span, required, plan.policy), []).append(name)
    if not lines:
        return
    yield "## Contract"
    yield "A value outside its contract is flagged in the record; with `reject` the whole message is refused and kept."
    rows = [
        [_code(path), span, required, policy, ", ".join(names)]
        for (path, span, required, policy), names in lines.items()
    ]
    yield markdown_table(("value", "range", "", "breach", "messages"), rows)


def _rules(structure: Structure, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, note in structure.notes.items():
        if note.range is not None or note.required:
            span = "" if note.range is None else f"{note.range[0]:g} to {note.range[1]:g} {note.unit}".strip()
            yield prefix + name, span, "required" if note.required else ""
    for name, inner in structure.inner.items():
        yield from _rules(inner, f"{prefix}{name}{'[]' if name in structure.lists else ''}.")


def _variants(loaded: LoadedProduct) -> Iterator[str]:
    variants = loaded.product.spec.variants
    if not variants:
        return
    yield "## Variants"
    rows = []
    for name, changes in variants.items():
        messages = changes.get("messages")
        what = [key for key in changes if key not in ("messages", "title", "note")]
        what += [f"message {message}" for message in messages] if isinstance(messages, Mapping) else []
        rows.append([_code(name), changes.get("title", ""), ", ".join(what)])
    yield markdown_table(("variant", "", "changes"), rows)


# Examples


def _examples(loaded: LoadedProduct) -> Iterator[str]:
    shown: dict[str, int] = {}
    parts: list[str] = []
    refused: list[list[str]] = []
    for file in loaded.golden.values():
        for case in file.cases:
            form = loaded.product.variants.get(case.variant, loaded.product)
            if case.error:
                given = _hex(case.wire) if case.text is None else case.text.strip()[:_MAX_HEX]
                refused.append([case.name, case.message or "", case.error, _code(given)])
                continue
            name = case.message or ""
            if shown.get(name, 0) < _MAX_EXAMPLES:
                shown[name] = shown.get(name, 0) + 1
                parts += _example(form, case)
    if parts:
        yield "## Examples"
        yield from parts
    if refused:
        yield "## Frames that are refused"
        yield markdown_table(("frame", "message", "error", "bytes"), refused)


def _example(product: CompiledProduct, case: GoldenCase) -> Iterator[str]:
    context = case.context()
    try:
        decoded = product.decode(cut(product.framing, case.wire), context)
    except DecodeError:
        return  # `spec test` says why
    yield f"### {case.message}: {case.name}" if case.message else f"### {case.name}"
    given = [f"variant `{case.variant}`"] if case.variant else []
    given += [f"port {case.port}"] if case.port else []
    given += [f"`{name}` {value} from the login" for name, value in case.session.items()]
    yield ", ".join(given)
    fields = explain(product, case.wire, case.context())
    rows = [
        [item.offset, _code(_hex(bytes.fromhex(item.hex))), _code(item.path), _json(item.value)]
        for item in fields[:_MAX_LINES]
    ]
    yield markdown_table(("offset", "bytes", "field", "value"), rows)
    yield f"… and {len(fields) - _MAX_LINES} more fields." if len(fields) > _MAX_LINES else ""
    if decoded.message.record != "none":
        parts = product.parts(decoded)
        lines = [_json(part.metrics) for part in parts[:3]]
        more = [f"… and {len(parts) - 3} more"] if len(parts) > 3 else []
        yield "\n".join([f"Record{'s' if len(parts) > 1 else ''}:", "", "```json", *lines, "```", *more])
    product.remember(decoded, context)
    replies = product.replies(decoded.message.name, decoded.values, context, context.received_ms, decoded.kind)
    if replies:
        yield "Answer: " + ", ".join(_code(_hex(reply)) for reply in replies)


def _hex(data: bytes) -> str:
    return data.hex() if len(data) <= _MAX_HEX else f"{data[:_MAX_HEX].hex()}…"


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
