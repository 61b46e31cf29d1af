"""One spec -> a CompiledProduct: framing, codecs, message plans, replies."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from decoders.check_places import checks_within, frame_checks
from decoders.contract import contract_check, units_of
from decoders.csv_lines import CsvCodec
from decoders.encode import Encoder
from decoders.errors import SpecError, SpecProblem
from decoders.framing.plan import FrameKind, Framing, WholeChunk
from decoders.fused.codec import FusedCodec
from decoders.layout import MessageLayout, Nodes, raw_names
from decoders.naming import pattern_of
from decoders.plan import MessagePlan, has_metrics, structure_plan, with_document_names
from decoders.product import CompiledProduct, KindCodec
from decoders.reference.codec import FrameLayout, ReferenceCodec
from decoders.reply_builder import ReplyBuilder, reply_names
from decoders.spec import documents, model
from decoders.spec.check_rows import body_with_checks
from decoders.spec.dedup_keys import set_dedup
from decoders.spec.formula_faults import Faults
from decoders.spec.formula_names import check_names
from decoders.spec.frames import FramePlan, build_frames
from decoders.spec.message_draft import MessageDraft
from decoders.spec.notes import Path, Structure
from decoders.spec.problems import MAX_PROBLEMS, nearest
from decoders.spec.row_walk import kept_values
from decoders.spec.rows import RowBuilder
from decoders.spec.selectors import known_bytes, selectable, selector_of
from decoders.spec.source import Document
from decoders.times import Zone

MAX_ROWS = 50_000
"""Of all messages in all their kinds of frame; and of all variants together."""


class _Form(TypedDict):
    """How the rows of a message read: options of `RowBuilder.reading`."""

    text: bool
    split: bytes


class _Compiler:
    def __init__(self, spec: model.SpecFile, document: Document | None) -> None:
        self.spec = spec
        self.document = document
        self.problems: list[SpecProblem] = []
        self.rows = RowBuilder(spec, self.report, spec.endian == "big", answered=reply_names(spec))
        self.kept: frozenset[str] = frozenset()  # values that logins keep
        self.zone: Zone = 0
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
        if len(self.problems) >= MAX_PROBLEMS:
            raise SpecError(self.problems)

    def compile(self, digest: str, codec: str) -> CompiledProduct:
        frames = build_frames(self.spec, self.rows)
        self.kept = kept_values(self.spec)
        messages = [
            self._message(name, documents.spoken(spec, self.spec), frames) for name, spec in self.spec.messages.items()
        ]
        self.zone = self.rows.converts.zone(self.spec.zone, ("zone",)) or 0
        if self.problems:
            raise SpecError(self.problems)
        layouts = {plan.kind.index: self._frame_layout(plan, messages) for plan in [*frames, self.unframed]}
        if sum(layout.rows for layout in layouts.values()) > MAX_ROWS:
            what = f"its messages have more than {MAX_ROWS} rows, those of header and trailer counted for each"
            self.report(("messages",), what, "fewer rows in the header, or fewer messages")
            raise SpecError(self.problems)
        plans = {message.name: self._plan(message) for message in messages}
        set_dedup(plans, messages, self.spec, self.report)
        kinds: list[KindCodec] = []
        for plan in frames:
            if plan.json:
                mine = [self._source(message) for message in messages if plan in message.frames]
                document = documents.document_frame(plan, layouts[plan.kind.index], mine, self.report)
                if document is not None:
                    kinds.append(KindCodec(plan.kind, layouts[plan.kind.index], None, None, "", document))
                continue
            kinds.append(self._kind(plan, layouts[plan.kind.index], codec))
        bodies = [self._source(message) for message in messages if not message.spec.downlink]
        spoken = [kind.document.codec for kind in kinds if kind.document is not None]
        lines = [found for found in spoken if isinstance(found, CsvCodec)]
        json_bodies = documents.json_bodies(bodies, self.report)
        csv_bodies = None if lines else documents.csv_bodies(bodies, self.report)
        answers = ReplyBuilder(self.rows.converts, messages, layouts, self.kept, self.zone, self._encoder)
        replies = {
            message.name: answers.plans(message.spec.replies, (*message.path, "replies"), message.frames, message)
            for message in messages
            if message.spec.replies
        }
        if self.spec.unknown_message:
            replies[""] = answers.plans(self.spec.unknown_message, ("unknown_message",), frames)
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
            zone_s=self.zone,
            origins=self.rows.origins,
            encoders={
                (plan.kind.index, message.name): self._encoder(message, plan, layouts[plan.kind.index])
                for message in messages
                for plan in message.frames
                if not plan.json
            },
            json=json_bodies,
            csv=lines[0] if lines else csv_bodies,
        )

    # messages

    def _message(self, name: str, spec: model.MessageSpec, frames: list[FramePlan]) -> MessageDraft:
        path: Path = self.spec.place_of(name)
        structure = Structure()
        message = MessageDraft(name, spec, path, structure)
        message.frames = self._frames_of(message, frames)
        message.selector = selector_of(name, spec, path, self.rows.converts, message.frames)
        rows = spec.fields
        if documents.is_document_only(spec, self.spec):
            rows = documents.with_types(rows, message.loose)
            documents.named_values(spec, self.spec, structure, path)
        with self.rows.reading(**self._form(message)):
            message.body = self.rows.build(rows, (*path, "fields"), structure)
            if spec.items is not None:
                items = self.rows.items(spec.items, (*path, "items"), structure)
                self.rows.origins.keep(items, spec.items, (*path, "items"))
                message.body += items
        for plan in [plan for plan in message.frames if not plan.json] or [self.unframed]:
            faults = Faults(name, message.path, self.report, self.rows.converts.places, self.rows.origins)
            check_names((*plan.header, *plan.trailer), message.body, self.kept, faults)
            for word, mode in plan.notes.repeats.items():
                if structure.repeats.get(word, mode) != mode:
                    what = f"`{word}` repeats in another way than in the frame's header or trailer"
                    self.report(path, what, "call one of the two otherwise")
        self._check_records(message)
        return message

    def _form(self, message: MessageDraft) -> _Form:
        """Whether the message's rows read text, and what parts their values: one form for all of its frames."""
        plans = [plan for plan in message.frames if not plan.json]
        forms = {(plan.text, plan.split): plan.kind.name for plan in plans}
        if len(forms) > 1:
            kinds = ", ".join(f"`{name}`" for name in forms.values())
            self.report(
                (*message.path, "frame"),
                f"it may come in frames that read differently: {kinds}",
                f"say which, such as `frame: {plans[0].kind.name}`",
            )
        text, split = next(iter(forms), (False, b""))
        return {"text": text, "split": split}

    def _frames_of(self, message: MessageDraft, frames: list[FramePlan]) -> list[FramePlan]:
        """Frame kinds that a message comes in."""
        wanted = message.spec.frame
        names: dict[str, list[FramePlan]] = {}
        for plan in frames:
            names.setdefault(plan.kind.name, []).append(plan)
        if wanted == "none":
            return [self.unframed]
        if wanted is not None:
            chosen = [wanted] if isinstance(wanted, str) else wanted
            for word in chosen:
                if word not in names:
                    close = nearest(word, names)
                    hint = f"did you mean `{close}`?" if close else f"there are {', '.join(names)}"
                    self.report((*message.path, "frame"), f"no frame kind `{word}`", hint)
            return [plan for word in chosen for plan in names.get(word, ())]
        spoken = [plan for plan in frames if plan.document and _comes_as(message.spec, plan.document)]
        if documents.is_document_only(message.spec, self.spec):
            return spoken
        binary = [plan for plan in frames if not plan.json]
        fitting = [plan for plan in binary if all(selectable(name, plan) for name in message.spec.when)]
        if not fitting and binary:
            known = sorted({name for plan in binary for name in raw_names(plan.header) | raw_names(plan.trailer)})
            wrong = next(name for name in message.spec.when if not any(selectable(name, p) for p in binary))
            close = nearest(wrong, known)
            known += ["port", "length", "first"]
            hint = f"did you mean `{close}`?" if close else f"there are {', '.join(known)}"
            if any(getattr(row, "name", "") == wrong for row in message.spec.fields):
                hint = "a row of the body is read once the message is known: `u8(0): 1`, or `first` with its bytes"
            self.report((*message.path, "when", wrong), f"no frame kind has a field `{wrong}`", hint)
        return fitting + spoken

    # documents

    def _source(self, message: MessageDraft) -> documents.DocumentSource:
        data: Any = self.document.data if self.document is not None else None
        for step in (*message.path, "json"):
            data = data.get(step) if isinstance(data, Mapping) else None
        long_form = not isinstance(data, Mapping) or "values" in data
        return documents.DocumentSource(
            message.name,
            message.spec,
            message.path,
            message.body,
            message.structure,
            message.loose,
            long_form,
            documents.holds_values(message.spec, self.spec),
        )

    def _check_records(self, message: MessageDraft) -> None:
        name = message.spec.records
        if name is not None and name not in message.structure.lists:
            lists = ", ".join(sorted(message.structure.lists)) or "none"
            self.report((*message.path, "records"), f"`{name}` is no list of this message", f"lists: {lists}")

    def _encoder(self, message: MessageDraft, plan: FramePlan, frame: FrameLayout) -> Encoder:
        selector = message.selector
        tests = {name: spans for name, spans in selector.tests if name not in selector.formulas}
        tests.pop("first", None)
        when = plan.said | {name: spans[0][0] for name, spans in tests.items() if spans and name != "length"}
        known = known_bytes(selector)
        return Encoder(frame, frame.messages[message.name], plan.kind.escape, when, known, self.zone)

    def _frame_layout(self, plan: FramePlan, messages: Sequence[MessageDraft]) -> FrameLayout:
        mine = [message for message in messages if plan in message.frames]
        layouts = {
            message.name: MessageLayout(
                message.name,
                plan.header,
                self._body(message, plan),
                plan.trailer,
                plan.trailer_size,
                message.spec.rest == "skip",
                text=plan.text,
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
            [message.selector for message in uplinks],
            frame_checks(plan.header, plan.trailer, plan.trailer_size),
            self.kept,
            {name: checks for name, layout in layouts.items() if (checks := checks_within(layout))},
        )

    def _body(self, message: MessageDraft, plan: FramePlan) -> Nodes:
        """The rows of a message in a frame of this kind: what its check values cover depends on the frame."""
        return body_with_checks(
            self.rows,
            plan.header,
            message.body,
            plan.trailer,
            plan.trailer_size,
            plan.mark,
            message.path,
            skip_rest=message.spec.rest == "skip",
        )

    def _kind(self, plan: FramePlan, layout: FrameLayout, codec: str) -> KindCodec:
        reference = ReferenceCodec(layout)
        generate = functools.partial(FusedCodec, layout) if codec != "construct" else None
        return KindCodec(plan.kind, layout, reference, generate, "asked for construct", None)

    def _plan(self, message: MessageDraft) -> MessagePlan:
        spec = message.spec
        whole = Structure(dict(message.structure.notes), message.structure.inner, message.structure.lists)
        whole.quiet = message.structure.quiet
        whole.open, whole.formats = message.structure.open, message.structure.formats
        whole.objects = message.structure.objects
        frame_names: set[str] = set()
        for plan in message.frames:
            for name, note in plan.notes.notes.items():
                frame_names.add(name)
                whole.notes.setdefault(name, note)
        frame_names -= set(message.structure.notes)
        plan_whole = structure_plan(whole, frame_names=frozenset(frame_names))
        item = structure_plan(whole.inner[spec.records]) if spec.records else structure_plan(Structure())
        if documents.is_document(spec):
            plan_whole, item = with_document_names(plan_whole), with_document_names(item)
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
            units={name: unit for name, unit in units.items() if "{" not in name},
            unit_patterns=tuple((pattern_of(name, whole.notes), unit) for name, unit in units.items() if "{" in name),
            formats=tuple(sorted(whole.all_formats())),
            records=spec.records or "",
            check=contract_check(whole, typed=not documents.is_document(spec)),
            whole=plan_whole,
            item=item,
            traced=documents.is_document(spec),
            session=tuple((note.session, name) for name, note in whole.notes.items() if note.session),
            notes=whole,
        )


def _comes_as(spec: model.MessageSpec, document: str) -> bool:
    return spec.csv if document == "csv" else bool(spec.json_)


def compile_spec(
    spec: model.SpecFile, document: Document | None = None, *, digest: str = "", codec: str = "auto"
) -> CompiledProduct:
    """Compiles one spec (variants are merged before). codec: `auto`, `construct` or `fused`.

    The fused codec is built but not proven here: see `decoders.prove`. Raises SpecError with every problem found.
    """
    return _Compiler(spec, document).compile(digest, codec)


__all__ = ["CompiledProduct", "MessagePlan", "compile_spec"]
