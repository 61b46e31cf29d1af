"""`spec diff`: what changes between two specs for those who read the records, and whether they notice.

`breaking`: what a consumer relies on is gone or means something else. `new`: there is more than before, which a
consumer has not seen. `compatible`: the records stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from decoders import layout
from decoders.layout import BytesWire, FloatWire, IntWire
from decoders.product import CompiledProduct
from decoders.spec import model
from decoders.spec.dedup_keys import dedup_text
from decoders.spec.model_conversion import absent_values
from decoders.spec.node_words import bit_option, children, node_type, row_scale, spelled
from decoders.spec.show import message_layout

__all__ = ["Change", "Effect", "ProductDiff", "diff"]


class Effect(StrEnum):
    """What a change means for those who read the records."""

    COMPATIBLE = "compatible"
    NEW = "new"
    BREAKING = "breaking"


@dataclass(slots=True, frozen=True)
class Change:
    """One change. place: message, or message and value, or "" for the product; with its variant in front."""

    effect: Effect
    place: str
    text: str

    def to_plain(self) -> dict[str, str]:
        """As JSON."""
        return {"effect": self.effect.value, "place": self.place, "change": self.text}


@dataclass(slots=True, frozen=True)
class ProductDiff:
    """All changes from one spec to another. raised: the later one has a higher `version`."""

    changes: list[Change]
    raised: bool

    @property
    def breaking(self) -> bool:
        return any(change.effect is Effect.BREAKING for change in self.changes)


@dataclass(slots=True)
class _Value:
    """What a consumer can know of one value, and how it is read. kind: number, text, time, truth, list."""

    path: str
    metric: bool
    unit: str
    kind: str
    type: str
    scale: str
    words: dict[str, Any] = field(default_factory=dict)  # raw value -> name
    range: tuple[float, float] | None = None
    required: bool = False
    always: bool = True
    absent: str = ""
    identity: str = ""
    timestamp: str = ""

    def like(self, other: _Value) -> bool:
        """True when only the name differs."""
        mine = (self.unit, self.kind, self.type, self.scale, self.words, self.range, self.metric)
        return mine == (other.unit, other.kind, other.type, other.scale, other.words, other.range, other.metric)


def diff(before: CompiledProduct, after: CompiledProduct) -> ProductDiff:
    """From `before` to `after`, variants too."""
    changes = [*_product(before, after), *_messages(before, after)]
    for name in {**before.variants, **after.variants}:
        one, other = before.variants.get(name), after.variants.get(name)
        if one is None:
            changes.append(Change(Effect.NEW, "", f"variant `{name}` added"))
        elif other is None:
            changes.append(Change(Effect.BREAKING, "", f"variant `{name}` removed"))
        else:
            known = {(change.effect, change.place, change.text) for change in changes}
            changes += [
                Change(change.effect, f"{name}: {change.place}", change.text)
                for change in _messages(one, other)
                if (change.effect, change.place, change.text) not in known
            ]
    return ProductDiff(changes, after.version > before.version)


def _product(before: CompiledProduct, after: CompiledProduct) -> Iterator[Change]:
    one, other = before.spec, after.spec
    if one.product != other.product:
        yield Change(Effect.BREAKING, "", f"product id: `{one.product}` -> `{other.product}`")
    if one.version != other.version:
        effect = Effect.COMPATIBLE if other.version > one.version else Effect.BREAKING
        yield Change(effect, "", f"version: {one.version} -> {other.version}")
    if one.contract != other.contract:
        effect = Effect.BREAKING if other.contract == "reject" else Effect.NEW
        yield Change(effect, "", f"contract: {one.contract} -> {other.contract}")
    if one.zone != other.zone:
        yield Change(Effect.BREAKING, "", f"zone of local times: {one.zone} -> {other.zone}")
    for key in ("transports", "endian", "title", "vendor", "source"):
        mine, theirs = getattr(one, key), getattr(other, key)
        if mine != theirs:
            yield Change(Effect.COMPATIBLE, "", f"{key}: {_shown(mine)} -> {_shown(theirs)}")
    frames = [{**item.frames, **({"frame": item.frame} if item.frame is not None else {})} for item in (one, other)]
    for name in {**frames[0], **frames[1]}:
        if frames[0].get(name) != frames[1].get(name):
            what = "removed" if name not in frames[1] else "added" if name not in frames[0] else "changed"
            yield Change(Effect.COMPATIBLE, "", f"frame `{name}` {what}")


def _messages(before: CompiledProduct, after: CompiledProduct) -> Iterator[Change]:
    for name, spec in before.spec.messages.items():
        if name not in after.spec.messages:
            makes = not spec.downlink and before.messages[name].record != "none"
            effect = Effect.BREAKING if makes else Effect.COMPATIBLE
            yield Change(effect, name, "message removed")
    for name in after.spec.messages:
        if name not in before.spec.messages:
            yield Change(Effect.NEW, name, "message added")
        else:
            yield from _message(before, after, name)


def _message(before: CompiledProduct, after: CompiledProduct, name: str) -> Iterator[Change]:
    one, other = before.spec.messages[name], after.spec.messages[name]
    plan, later = before.messages[name], after.messages[name]
    if plan.record != later.record:
        effect = Effect.NEW if plan.record == "none" else Effect.BREAKING
        yield Change(effect, name, f"record: {plan.record} -> {later.record}")
    for key in ("records", "measurement", "data_type"):
        mine, theirs = getattr(plan, key), getattr(later, key)
        if mine != theirs:
            effect = Effect.BREAKING if mine or key == "records" else Effect.NEW
            yield Change(effect, name, f"{key}: {_shown(mine)} -> {_shown(theirs)}")
    if one.contract != other.contract and plan.policy != later.policy:
        effect = Effect.BREAKING if later.policy == "reject" else Effect.NEW
        yield Change(effect, name, f"contract: {plan.policy} -> {later.policy}")
    copies, known = dedup_text(plan.dedup), dedup_text(later.dedup)
    if copies != known:
        yield Change(Effect.COMPATIBLE, name, f"copies known by: {_shown(copies)} -> {_shown(known)}")
    for key in ("when", "frame", "rest", "downlink", "replies", "json_", "csv"):
        if getattr(one, key) != getattr(other, key):
            yield Change(Effect.COMPATIBLE, name, f"{key.rstrip('_')} changed")
    yield from _values(_of_message(before, name), _of_message(after, name), name, later.policy)


def _values(one: Mapping[str, _Value], other: Mapping[str, _Value], name: str, policy: str) -> Iterator[Change]:
    gone = [value for path, value in one.items() if path not in other]
    fresh = [value for path, value in other.items() if path not in one]
    for value in gone:
        twin = next((item for item in fresh if item.like(value)), None)
        effect = Effect.BREAKING if value.metric or value.identity or value.timestamp else Effect.COMPATIBLE
        if twin is not None:
            fresh.remove(twin)
            yield Change(effect, f"{name}.{value.path}", f"renamed to `{twin.path}`")
        else:
            yield Change(effect, f"{name}.{value.path}", "removed")
    for value in fresh:
        effect = Effect.NEW if value.metric else Effect.COMPATIBLE
        yield Change(effect, f"{name}.{value.path}", "added")
    for path, value in one.items():
        if path in other:
            for effect, text in _value(value, other[path], policy):
                silent = not value.metric and not other[path].metric and not value.identity and not value.timestamp
                yield Change(Effect.COMPATIBLE if silent else effect, f"{name}.{path}", text)


def _value(one: _Value, other: _Value, policy: str) -> Iterator[tuple[Effect, str]]:
    if one.metric != other.metric:
        yield (Effect.NEW, "is now a metric") if other.metric else (Effect.BREAKING, "is no metric any more")
    if one.kind != other.kind:
        yield Effect.BREAKING, f"was a {one.kind}, is a {other.kind}"
    if one.unit != other.unit:
        effect = Effect.BREAKING if one.unit else Effect.COMPATIBLE
        yield effect, f"unit: {_shown(one.unit)} -> {_shown(other.unit)}"
    if one.scale != other.scale:
        yield Effect.BREAKING, f"scale: {_shown(one.scale)} -> {_shown(other.scale)}"
    if one.type != other.type:
        yield Effect.COMPATIBLE, f"type: {one.type} -> {other.type}"
    yield from _words(one.words, other.words)
    if one.range != other.range:
        yield _range(one.range, other.range, policy)
    if one.required != other.required:
        stricter = Effect.BREAKING if policy == "reject" else Effect.COMPATIBLE
        yield (stricter, "is now required") if other.required else (Effect.BREAKING, "is not required any more")
    if one.always != other.always:
        yield (Effect.NEW, "is now always there") if other.always else (Effect.BREAKING, "is not always there any more")
    if one.absent != other.absent:
        yield Effect.COMPATIBLE, f"absent: {_shown(one.absent)} -> {_shown(other.absent)}"
    for key in ("identity", "timestamp"):
        if getattr(one, key) != getattr(other, key):
            yield Effect.BREAKING, f"{key}: {_shown(getattr(one, key))} -> {_shown(getattr(other, key))}"


def _words(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[Effect, str]]:
    """Names of raw values: a name that can no longer come, or that stands for another raw value, breaks."""
    if one == other:
        return
    before, after = set(map(str, one.values())), set(map(str, other.values()))
    lost, gained = [word for word in before if word not in after], [word for word in after if word not in before]
    if lost:
        yield Effect.BREAKING, f"enum loses {_listed(lost)}"
    if gained:
        yield Effect.NEW, f"enum gains {_listed(gained)}"
    moved = [f"{raw}: {one[raw]} -> {other[raw]}" for raw in one if raw in other and one[raw] != other[raw]]
    if moved and not lost and not gained:
        yield Effect.BREAKING, f"enum says otherwise for {_listed(moved)}"
    elif not lost and not gained:
        yield Effect.COMPATIBLE, "enum has other raw values"


def _range(one: tuple[float, float] | None, other: tuple[float, float] | None, policy: str) -> tuple[Effect, str]:
    text = f"range: {_span(one)} -> {_span(other)}"
    wider = one is not None and (other is None or other[0] < one[0] or other[1] > one[1])
    if wider:
        return Effect.NEW, text
    return (Effect.BREAKING if policy == "reject" else Effect.COMPATIBLE), text


# What a message's values are


def _of_message(product: CompiledProduct, name: str) -> dict[str, _Value]:
    """By path, in the order of the layout; of several of one path the first."""
    known = message_layout(product, name)
    if known is None:
        return {}
    plan = product.messages[name]
    silent = set(plan.whole.drop)
    found: dict[str, _Value] = {}
    for nodes, framed in ((known.header, True), (known.body, False), (known.trailer, True)):
        for value in _walk(product, nodes, "", conditional=False):
            top = value.path.partition(".")[0].removesuffix("[]")
            value.metric = value.metric and not (framed and top in silent) and value.path not in silent
            found.setdefault(value.path, value)
    return found


def _walk(product: CompiledProduct, nodes: Any, path: str, *, conditional: bool) -> Iterator[_Value]:
    for node in nodes:
        row = product.origins.row(node)
        if isinstance(node, layout.Value | layout.Derived):
            yield from _of_node(product, node, row, path, conditional)
        inner = path
        if isinstance(node, layout.Group) and node.name:
            inner = f"{path}{node.name}."
        elif isinstance(node, layout.Repeat) and not getattr(node, "plain", False):
            inner = f"{path}{node.name}[]."
        sometimes = conditional or isinstance(node, layout.Condition | layout.Branch | layout.Tags)
        for _title, held in children(node):
            yield from _walk(product, held, inner, conditional=sometimes)


def _of_node(product: CompiledProduct, node: Any, row: Any, path: str, conditional: bool) -> Iterator[_Value]:
    for bit in getattr(node, "bits", ()):
        if not bit.hidden:
            option = bit_option(row, node, bit)
            words = _names(option, product.spec)
            kind = "text" if words else "truth" if bit.convert.boolean else _kind(bit.convert, number=True)
            yield _described(f"{path}{bit.name}", option, kind, f"{bit.width} bits", words, conditional)
    if not node.hidden:
        number = isinstance(node, layout.Derived) or isinstance(node.wire, IntWire | FloatWire)
        words = _names(row, product.spec)
        wire = getattr(node, "wire", None)
        kind = "text" if words else "value" if wire is None else _kind(node.convert, number=number, wire=wire)
        yield _described(f"{path}{node.name}", row, kind, node_type(node, row), words, conditional)


def _kind(convert: Any, *, number: bool, wire: Any = None) -> str:
    if convert.clock:
        return "time"
    if convert.flags is not None:
        return "list"
    if convert.formula is not None:
        return "value"
    form = getattr(wire, "form", "") if isinstance(wire, BytesWire) else ""
    return "number" if number or form.startswith(("uint", "int", "number", "bcdnumber")) else "text"


def _described(path: str, row: Any, kind: str, type_: str, words: dict[str, Any], conditional: bool) -> _Value:
    identity, timestamp = getattr(row, "identity", None) or "", getattr(row, "timestamp", None) or ""
    session = getattr(row, "session", None)
    metric = getattr(row, "metric", None)
    own = bool(getattr(row, "if_", None) or getattr(row, "optional", False))
    return _Value(
        path,
        metric=(not identity and not timestamp and not session) if metric is None else bool(metric),
        unit=str(getattr(row, "unit", "")),
        kind=kind,
        type=type_,
        scale=row_scale(row),
        words=words,
        range=getattr(row, "range", None),
        required=bool(getattr(row, "required", False)),
        always=not conditional and not own,
        absent=spelled(list(absent_values(row.absent))) if isinstance(row, model.Conversion) else "",
        identity=identity,
        timestamp=timestamp,
    )


def _names(row: Any, spec: model.SpecFile) -> dict[str, Any]:
    """Raw value -> name, as the spec writes them."""
    found: dict[str, Any] = {}
    for key, tables in (("enum", spec.enums), ("flags", spec.flags)):
        given = getattr(row, key, None)
        table: Any = tables.get(given, {}) if isinstance(given, str) else given
        if isinstance(table, Mapping):
            found |= {str(raw): name for raw, name in table.items() if name is not None}
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"`{value}`" if value not in ("", None) else "none"


def _span(span: tuple[float, float] | None) -> str:
    return "none" if span is None else f"{span[0]:g} to {span[1]:g}"


def _listed(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))
