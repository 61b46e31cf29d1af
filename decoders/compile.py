"""One spec -> a CompiledProduct: framing, codecs, message plans, replies."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from decoders.contract import contract_check, units_of
from decoders.document import JsonCodec
from decoders.encode import Encoder
from decoders.errors import SpecError, SpecProblem
from decoders.formula import Formula
from decoders.framing.plan import FrameKind, Framing, WholeChunk
from decoders.fused.codec import FusedCodec
from decoders.fused.refusal import Unsupported
from decoders.fused_encoder import Source, fused_encoder
from decoders.layout import Derived, IntWire, MessageLayout, Nodes, Value, walk
from decoders.plan import MessagePlan, has_metrics, structure_plan, with_document_names
from decoders.product import CompiledProduct, KindCodec
from decoders.reference.codec import FrameLayout, ReferenceCodec, Selector, check_places
from decoders.replies import SESSION_NAMES, MessageReply, Render, ReplyPlan, placeholders, text_reply
from decoders.spec import model
from decoders.spec.frames import FramePlan, build_frames
from decoders.spec.list_rows import tag_list
from decoders.spec.notes import Path, Structure
from decoders.spec.rows import SPECIAL_NAMES, RowBuilder
from decoders.spec.source import Document

_HEX = re.compile(r"([0-9A-Fa-f]{2} ?)+")


@dataclass(slots=True)
class _Message:
    """A message while the product is compiled."""

    name: str
    spec: model.MessageSpec
    path: Path
    body: Nodes
    structure: Structure  # of the body
    frames: list[FramePlan] = field(default_factory=list)


class _Compiler:
    def __init__(self, spec: model.SpecFile, document: Document | None) -> None:
        self.spec = spec
        self.document = document
        self.problems: list[SpecProblem] = []
        self.rows = RowBuilder(spec, self.report, spec.endian == "big")
        self.unframed = FramePlan(
            FrameKind("none", -1, (), WholeChunk(), 0, 1 << 20), (), (), 0, ("messages",), notes=Structure()
        )

    def report(self, path: Path, message: str, hint: str) -> None:
        if self.document is not None:
            source, line, column = self.document.where(path)
            text = self.document.path_text(path)
        else:
            source, line, column, text = self.spec.product, 0, 0, ".".join(map(str, path))
        problem = SpecProblem(source, line, column, text, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def compile(self, digest: str, codec: str) -> CompiledProduct:
        frames = build_frames(self.spec, self.rows)
        messages = [self._message(name, spec, frames) for name, spec in self.spec.messages.items()]
        zone_s = self.rows.converts.zone(self.spec.zone, ("zone",)) or 0
        if self.problems:
            raise SpecError(self.problems)
        layouts = {plan.kind.index: self._frame_layout(plan, messages) for plan in [*frames, self.unframed]}
        plans = {message.name: self._plan(message) for message in messages}
        kinds: list[KindCodec] = []
        for plan in frames:
            if plan.json:
                json_messages = {message.name: message for message in messages if message.spec.json_}
                codec_json = JsonCodec(
                    {
                        name: (_json_paths(message.spec.json_), message.structure)
                        for name, message in json_messages.items()
                    }
                )
                kinds.append(KindCodec(plan.kind, layouts[plan.kind.index], None, None, "", codec_json))
                continue
            kinds.append(self._kind(plan, layouts[plan.kind.index], codec))
        replies = {
            message.name: self._replies(message.spec.replies, message.path, message.frames, messages, layouts)
            for message in messages
            if message.spec.replies
        }
        if self.spec.unknown_message:
            replies[""] = self._replies(
                self.spec.unknown_message, ("unknown_message",), frames, messages, layouts, unknown=True
            )
        if self.problems:
            raise SpecError(self.problems)
        return CompiledProduct(
            id=self.spec.product,
            version=self.spec.version,
            digest=digest,
            spec=self.spec,
            framing=Framing(tuple(plan.kind for plan in frames)),
            kinds=tuple(kinds),
            messages=plans,
            reply_plans=replies,
            zone_s=zone_s,
            encoders={
                (plan.kind.index, message.name): Encoder(
                    layouts[plan.kind.index], layouts[plan.kind.index].messages[message.name], plan.kind.escape
                )
                for message in messages
                for plan in message.frames
                if not plan.json
            },
        )

    # messages

    def _message(self, name: str, spec: model.MessageSpec, frames: list[FramePlan]) -> _Message:
        path: Path = ("messages", name)
        structure = Structure()
        body = self.rows.build(spec.fields, (*path, "fields"), structure)
        if spec.items is not None:
            body = (*body, *tag_list(self.rows, spec.items, (*path, "items"), structure))
        message = _Message(name, spec, path, body, structure)
        message.frames = self._frames_of(message, frames)
        for plan in message.frames:
            if not plan.json:
                self._check_names(message, plan)
        self._check_records(message)
        return message

    def _frames_of(self, message: _Message, frames: list[FramePlan]) -> list[FramePlan]:
        """Frame kinds that a message comes in."""
        wanted = message.spec.frame
        names = {plan.kind.name: plan for plan in frames}
        if wanted == "none":
            return [self.unframed]
        if wanted is not None:
            chosen = [wanted] if isinstance(wanted, str) else wanted
            for word in chosen:
                if word not in names:
                    near = difflib.get_close_matches(word, list(names), 1)
                    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
                    self.report((*message.path, "frame"), f"no frame kind `{word}`", hint)
            return [names[word] for word in chosen if word in names]
        binary = [plan for plan in frames if not plan.json]
        fitting = [plan for plan in binary if all(self._selectable(name, plan) for name in message.spec.when)]
        if not fitting and binary:
            known = sorted({name for plan in binary for name in _raw_names(plan.header) | _raw_names(plan.trailer)})
            wrong = next(name for name in message.spec.when if not any(self._selectable(name, p) for p in binary))
            near = difflib.get_close_matches(wrong, known, 1)
            hint = (
                f"did you mean `{near[0]}`?" if near else f"there are {', '.join([*known, 'port', 'length', 'first'])}"
            )
            self.report((*message.path, "when", wrong), f"no frame kind has a field `{wrong}`", hint)
        if message.spec.json_:
            fitting += [plan for plan in frames if plan.json]
        return fitting

    def _selectable(self, name: str, plan: FramePlan) -> bool:
        return name in ("port", "length", "first") or name in _raw_names(plan.header) | _raw_names(plan.trailer)

    def _check_names(self, message: _Message, plan: FramePlan) -> None:
        """Every name in a formula is a field of the message, of its frame, or a special name."""
        nodes = (*plan.header, *message.body, *plan.trailer)
        raw = _raw_names(nodes) | SPECIAL_NAMES
        values = raw | _value_names(nodes)
        for formula, layout in _formulas(nodes):
            known = raw if layout else values
            for name in formula.names:
                if name not in known:
                    near = difflib.get_close_matches(name, sorted(known), 1)
                    hint = f"did you mean `{near[0]}`?" if near else "use the name of a field of this message"
                    self.report(message.path, f"`{formula.text}`: there is no field `{name}`", hint)

    def _check_records(self, message: _Message) -> None:
        name = message.spec.records
        if name is not None and name not in message.structure.lists:
            lists = ", ".join(sorted(message.structure.lists)) or "none"
            self.report((*message.path, "records"), f"`{name}` is no list of this message", f"lists: {lists}")

    def _selector(self, message: _Message) -> Selector:
        tests: list[tuple[str, tuple[tuple[int | str, int | str], ...]]] = []
        for name, given in message.spec.when.items():
            path = (*message.path, "when", name)
            values = given if isinstance(given, list) else [given]
            if name == "first":
                if not all(isinstance(value, str) and _HEX.fullmatch(value) for value in values):
                    self.report(path, f"`{given}` is no hex text", 'bytes in hex within quotes, such as "01 0A"')
                    continue
                values = [str(value).replace(" ", "") for value in values]
                tests.append((name, tuple((str(value).lower(), str(value).lower()) for value in values)))
            else:
                spans = [span for value in values for span in self.rows.converts.spans(value, path)]
                tests.append((name, tuple(spans)))
        return Selector(message.name, tuple(tests))

    def _frame_layout(self, plan: FramePlan, messages: Sequence[_Message]) -> FrameLayout:
        mine = [message for message in messages if plan in message.frames]
        layouts = {
            message.name: MessageLayout(
                message.name, plan.header, message.body, plan.trailer, plan.trailer_size, message.spec.rest == "skip"
            )
            for message in mine
        }
        uplinks = [message for message in mine if not message.spec.downlink]
        uplinks.sort(key=lambda message: not message.spec.when)  # a message without `when` takes what is left
        return FrameLayout(
            plan.kind.name,
            plan.header,
            plan.trailer,
            plan.trailer_size,
            layouts,
            [self._selector(message) for message in uplinks],
            check_places(plan.header, plan.trailer, plan.trailer_size),
        )

    def _kind(self, plan: FramePlan, layout: FrameLayout, codec: str) -> KindCodec:
        reference = ReferenceCodec(layout)
        fused, why = None, "asked for construct"
        if codec != "construct":
            try:
                fused, why = FusedCodec(layout), ""
            except Unsupported as error:
                why = str(error)
        return KindCodec(plan.kind, layout, reference, fused, why, None)

    def _plan(self, message: _Message) -> MessagePlan:
        spec = message.spec
        whole = Structure(dict(message.structure.notes), message.structure.inner, message.structure.lists)
        whole.quiet = message.structure.quiet
        frame_names: set[str] = set()
        for plan in message.frames:
            for name, note in plan.notes.notes.items():
                frame_names.add(name)
                whole.notes.setdefault(name, note)
        frame_names -= set(message.structure.notes)
        plan_whole = structure_plan(whole, frame_names=frozenset(frame_names))
        if spec.json_:
            plan_whole = with_document_names(plan_whole)
        item = structure_plan(whole.inner[spec.records]) if spec.records else structure_plan(Structure())
        record = spec.record or ("telemetry" if spec.records or has_metrics(whole, plan_whole) else "none")
        units = dict(units_of(whole))
        if spec.records:
            units.update(units_of(whole.inner[spec.records]))
        return MessagePlan(
            name=message.name,
            record=record,
            login=bool(plan_whole.identities),
            policy=spec.contract or self.spec.contract,
            title=spec.title,
            measurement=spec.measurement,
            data_type=spec.data_type,
            units=units,
            records=spec.records or "",
            check=contract_check(whole, typed=not spec.json_),
            whole=plan_whole,
            item=item,
            session=tuple((note.session, name) for name, note in whole.notes.items() if note.session),
        )

    # replies

    def _replies(
        self,
        replies: Sequence[model.Reply],
        path: Path,
        frames: Sequence[FramePlan],
        messages: Sequence[_Message],
        layouts: Mapping[int, FrameLayout],
        *,
        unknown: bool = False,
    ) -> list[ReplyPlan]:
        plans = []
        for index, reply in enumerate(replies):
            here = path if unknown else (*path, "replies", index)
            test = self.rows.converts.formula(reply.if_, (*here, "if"))
            if reply.hex is not None:
                plans.append(ReplyPlan("hex", _constant(bytes.fromhex(reply.hex)), test))
            elif reply.text is not None:
                self._check_text(reply.text, here, messages)
                plans.append(ReplyPlan("text", text_reply(reply.text), test, of_session=True))
            else:
                render = self._message_reply(reply, here, frames, messages, layouts)
                if render is not None:
                    of_session = not SESSION_NAMES.isdisjoint(render.names)
                    plans.append(ReplyPlan(reply.message or "", render, test, of_session))
            if plans and test is not None and not SESSION_NAMES.isdisjoint(test.names):
                plans[-1].of_session = True
        return plans

    def _check_text(self, text: str, path: Path, messages: Sequence[_Message]) -> None:
        known = {name for message in messages for name in message.structure.notes} | SESSION_NAMES
        known |= {name for message in messages for plan in message.frames for name in plan.notes.notes}
        for name in placeholders(text):
            if name not in known:
                self.report((*path, "text"), f"no value `{name}`", f"values and {', '.join(sorted(SESSION_NAMES))}")

    def _message_reply(
        self,
        reply: model.Reply,
        path: Path,
        frames: Sequence[FramePlan],
        messages: Sequence[_Message],
        layouts: Mapping[int, FrameLayout],
    ) -> MessageReply | None:
        target = next((message for message in messages if message.name == reply.message), None)
        if target is None or not target.spec.downlink:
            words = [message.name for message in messages if message.spec.downlink]
            near = difflib.get_close_matches(reply.message or "", words, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"downlink messages: {', '.join(words) or 'none'}"
            self.report((*path, "message"), f"no downlink message `{reply.message}`", hint)
            return None
        out = next((plan for plan in frames if plan in target.frames), target.frames[0])
        frame = layouts[out.kind.index]
        layout = frame.messages[target.name]
        encoder = Encoder(frame, layout, out.kind.escape)
        sources = self._sources(reply, target, encoder, path)
        try:
            fused = fused_encoder(frame, layout, sources, out.kind.escape)
        except Unsupported:
            fused = None
        return MessageReply(encoder, sources, fused)

    def _sources(self, reply: model.Reply, target: _Message, encoder: Encoder, path: Path) -> dict[str, Source]:
        """Where each field gets its value: `with`, else a constant of `when`, else the row's default, else an echo."""
        defaults = {
            node.name: node.default
            for node in walk(encoder.nodes)
            if isinstance(node, Value) and node.default is not None
        }
        sources: dict[str, Source] = {}
        for name in encoder.fields:
            when = target.spec.when.get(name)
            if name in reply.with_:
                formula = self.rows.converts.formula(reply.with_[name], (*path, "with", name))
                if formula is not None:
                    sources[name] = Source(formula=formula)
            elif isinstance(when, int | str):
                sources[name] = Source(constant=self.rows.converts.span(when, target.path)[0])
            elif name in defaults:
                sources[name] = Source(constant=defaults[name])
            else:
                sources[name] = Source(echo=name)
        for name in reply.with_:
            if name not in encoder.fields:
                near = difflib.get_close_matches(name, list(encoder.fields), 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(encoder.fields)}"
                self.report((*path, "with", name), f"`{target.name}` has no field `{name}`", hint)
        return sources


def _json_paths(given: model.JsonSpec | bool | None) -> Mapping[str, str] | bool | None:
    return given.values if isinstance(given, model.JsonSpec) else given


def _constant(data: bytes) -> Render:
    return lambda _values: data


def _raw_names(nodes: Sequence[Any]) -> set[str]:
    names: set[str] = set()
    for node in walk(nodes):
        if isinstance(node, Value):
            names.add(node.name)
            names.update(bit.name for bit in node.bits)
    return names


def _value_names(nodes: Sequence[Any]) -> set[str]:
    return {name for node in walk(nodes) if (name := getattr(node, "name", ""))}


def _formulas(nodes: Sequence[Any]) -> list[tuple[Formula, bool]]:
    """All formulas of the nodes; True for those over raw values."""
    found: list[tuple[Formula, bool]] = []
    for node in walk(nodes):
        layout_keys = () if isinstance(node, Derived) else ("test", "on", "count", "left", "size")
        for key in layout_keys:
            formula = getattr(node, key, None)
            if isinstance(formula, Formula):
                found.append((formula, True))
        wire = getattr(node, "wire", None)
        if wire is not None and not isinstance(wire, IntWire) and isinstance(wire.size, Formula):
            found.append((wire.size, True))
        value_keys = ("formula", "test") if isinstance(node, Derived) else ("negate", "keep")
        for key in value_keys:
            formula = getattr(node, key, None)
            if isinstance(formula, Formula):
                found.append((formula, False))
    return found


def compile_spec(
    spec: model.SpecFile, document: Document | None = None, *, digest: str = "", codec: str = "auto"
) -> CompiledProduct:
    """Compiles one spec (variants are merged before). codec: `auto`, `construct` or `fused`.

    The fused codec is built but not proven here: see `decoders.prove`. Raises SpecError with every problem found.
    """
    return _Compiler(spec, document).compile(digest, codec)


__all__ = ["CompiledProduct", "MessagePlan", "compile_spec"]
