"""`replies:` of a message -> the plans that render them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from decoders.encode import Encoder
from decoders.formula import Formula
from decoders.fused.refusal import Unsupported
from decoders.fused_encoder import Source, fused_encoder
from decoders.layout import Group, Node, Repeat, Value, raw_names, walk
from decoders.naming import pattern_of
from decoders.reference.codec import FrameLayout
from decoders.reference.fields import own_rows
from decoders.reference.raw_tree import MAX_DEPTH
from decoders.replies import SESSION_NAMES, MessageReply, ReplyPlan
from decoders.reply_text import Render, number_fault, placeholders, text_reply, time_fault
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder
from decoders.spec.frames import FramePlan
from decoders.spec.message_draft import MessageDraft
from decoders.spec.notes import Path, ValueNote
from decoders.spec.problems import nearest
from decoders.times import Zone

_TIMES = frozenset({"now", "received"})  # of SESSION_NAMES
_IDENTIFIER = re.compile(r"[A-Za-z]\w*")


@dataclass
class ReplyBuilder:
    """Builds the replies of one spec. layouts: by number of the frame kind. kept: values that logins keep."""

    converts: ConvertBuilder
    messages: Sequence[MessageDraft]
    layouts: Mapping[int, FrameLayout]
    kept: frozenset[str]
    zone: Zone
    encoder_of: Callable[[MessageDraft, FramePlan, FrameLayout], Encoder]

    def plans(
        self,
        replies: Sequence[model.Reply],
        path: Path,
        frames: Sequence[FramePlan],
        request: MessageDraft | None = None,
    ) -> list[ReplyPlan]:
        """What a message is answered with. path: of the list. frames: those in which the request comes. request: None
        for frames that no message answers to."""
        plans = []
        for index, reply in enumerate(replies):
            here = (*path, index)
            test = self._formula(reply.if_, (*here, "if"), request)
            if reply.hex is not None:
                plans.append(ReplyPlan("hex", _constant(bytes.fromhex(reply.hex)), test))
            elif reply.text is not None:
                self._check_text(reply.text, (*here, "text"), frames, request)
                plans.append(ReplyPlan("text", text_reply(reply.text, self.zone), test, of_session=True))
            else:
                render = self._message_reply(reply, here, frames, request)
                if render is not None:
                    others = self._in_other_kinds(reply, here, frames, request)
                    of_session = render.uses_zone or not (SESSION_NAMES | self.kept).isdisjoint(render.names)
                    plans.append(ReplyPlan(reply.message or "", render, test, of_session, others))
            if plans and test is not None and not (SESSION_NAMES | self.kept).isdisjoint(test.names):
                plans[-1].of_session = True
        return plans

    @cached_property
    def known(self) -> set[str]:
        """Names that a reply to some message may read."""
        names = set(SESSION_NAMES | self.kept)
        for message in self.messages:
            for structure in (message.structure, *(plan.notes for plan in message.frames)):
                names |= {*structure.notes, *structure.inner}
        return names

    def _check_names(self, names: Iterable[str], path: Path, request: MessageDraft | None) -> None:
        """Names that no message has, and those of this request that are hidden: replies see what is shown."""
        hidden: set[str] = set()
        if request is not None:
            shown = {*request.structure.notes, *(name for plan in request.frames for name in plan.notes.notes)}
            frames = [(*plan.header, *plan.trailer) for plan in request.frames]
            hidden = set().union(*map(raw_names, (request.body, *frames))) - shown
        for name in names:
            if name in self.kept or name in SESSION_NAMES:
                continue
            if name in hidden:
                hint = "`hidden: false`, with `metric: false` where it is no metric"
                self.converts.report(path, f"`{name}` is hidden, and replies read what is shown", hint)
            elif name not in self.known and not any(pattern_of(word).fullmatch(name) for word in self.known):
                close = nearest(name, self.known)
                hint = f"did you mean `{close}`?" if close else f"values and {', '.join(sorted(SESSION_NAMES))}"
                self.converts.report(path, f"no value `{name}`", hint)

    def _formula(self, text: str | None, path: Path, request: MessageDraft | None) -> Formula | None:
        formula = self.converts.formula(text, path)
        if formula is not None:
            self._check_names(formula.names, path, request)
        return formula

    def _check_text(self, text: str, path: Path, frames: Sequence[FramePlan], request: MessageDraft | None) -> None:
        written = placeholders(text)
        self._check_names([name for name, _ in written], path, request)
        for name, pattern in written:
            notes = self._notes(name, frames, request)
            timed = name in _TIMES or any(note.clock for note in notes)
            if not pattern:
                continue
            unknown = not notes and name not in SESSION_NAMES  # its name is built from numbers
            fault = time_fault(pattern) if timed or (unknown and "%" in pattern) else number_fault(pattern)
            if fault is None and not timed and pattern[-1].isalpha() and notes and all(map(_is_word, notes)):
                fault = f"`{name}` is a word, no number", f"`{{{name}}}`, or a row of its own without `enum`"
            if fault is not None:
                self.converts.report(path, f"{{{name}:{pattern}}}: {fault[0]}", fault[1])

    def _notes(self, name: str, frames: Sequence[FramePlan], request: MessageDraft | None) -> list[ValueNote]:
        """What the spec says of a value: of the request, of its frames, or of the login that keeps it."""
        structures = [plan.notes for plan in frames]
        if request is not None:
            structures.append(request.structure)
        if name in self.kept:
            structures += [message.structure for message in self.messages]
        return [structure.notes[name] for structure in structures if name in structure.notes]

    def _message_reply(
        self, reply: model.Reply, path: Path, frames: Sequence[FramePlan], request: MessageDraft | None
    ) -> MessageReply | None:
        target = next((message for message in self.messages if message.name == reply.message), None)
        if target is None or not target.spec.downlink:
            words = [message.name for message in self.messages if message.spec.downlink]
            near = nearest(reply.message or "", words)
            hint = f"did you mean `{near}`?" if near else f"downlink messages: {', '.join(words) or 'none'}"
            self.converts.report((*path, "message"), f"no downlink message `{reply.message}`", hint)
            return None
        out = next((plan for plan in frames if plan in target.frames), target.frames[0])
        frame = self.layouts[out.kind.index]
        layout = frame.messages[target.name]
        encoder = self.encoder_of(target, out, frame)
        sources = self._sources(reply, target, encoder, path, request)
        try:
            fused = fused_encoder(frame, layout, sources, out.kind.escape, self.zone)
        except Unsupported:
            fused = None
        return MessageReply(encoder, sources, fused)

    def _in_other_kinds(
        self, reply: model.Reply, path: Path, frames: Sequence[FramePlan], request: MessageDraft | None
    ) -> dict[int, MessageReply]:
        """The reply in the kinds of frame, but for the first one, in which both it and the request may come."""
        target = next(message for message in self.messages if message.name == reply.message)
        found = {}
        for plan in [plan for plan in frames if plan in target.frames][1:]:
            encoder = self.encoder_of(target, plan, self.layouts[plan.kind.index])
            known = set(field_paths(encoder.nodes))
            given = {name: text for name, text in reply.with_.items() if name in known}
            mine = reply.model_copy(update={"with_": given})
            sources = self._sources(mine, target, encoder, path, request)
            found[plan.kind.index] = MessageReply(encoder, sources, None)
        return found

    def _sources(
        self, reply: model.Reply, target: MessageDraft, encoder: Encoder, path: Path, request: MessageDraft | None
    ) -> dict[str, Source]:
        """Where each field gets its value: `with`, else a constant of `when`, else the row's default, else an echo."""
        defaults = {
            node.name: node.default
            for node in walk(encoder.nodes)
            if isinstance(node, Value) and node.default is not None
        }
        sources: dict[str, Source] = {}
        fields = list(field_paths(encoder.nodes))
        for name in fields:
            when = target.spec.when.get(name)
            if name in reply.with_:
                continue
            if isinstance(when, int | str):
                sources[name] = Source(constant=self.converts.span(when, target.path)[0])
            elif name in defaults and "." not in name:
                sources[name] = Source(constant=defaults[name])
            elif "." not in name:
                sources[name] = Source(echo=name)
        for name, text in reply.with_.items():  # behind those of whole groups, of which they are values
            here = (*path, "with", name)
            if name not in fields:
                last = name.rpartition(".")[2]
                near = nearest(name, fields) or next((each for each in fields if each.endswith(f".{last}")), "")
                hint = f"did you mean `{near}`?" if near else f"it has {', '.join(fields)}"
                self.converts.report(here, f"`{target.name}` has no field `{name}`", hint)
                continue
            formula = self._formula(text, here, request)
            if formula is not None:
                sources[name] = Source(formula=formula)
        return sources


def field_paths(nodes: Sequence[Node], prefix: str = "", depth: int = 0) -> Iterator[str]:
    """What a reply can give a message: values, lists, groups, and behind these their own (`position.speed`)."""
    found: dict[str, None] = {}
    for node in own_rows(nodes):
        match node:
            case Value():
                found |= dict.fromkeys(prefix + part.name for part in node.parts)
            case Group(name=name, place=None) if depth < MAX_DEPTH:
                found[prefix + name] = None
                found |= dict.fromkeys(field_paths(node.nodes, f"{prefix}{name}.", depth + 1))
            case Repeat(numbered=False, into="", name=name):
                found[prefix + name] = None
    yield from found


def reply_names(spec: model.SpecFile) -> frozenset[str]:
    """Names that replies may read: of formulas and placeholders, and of fields that the answers have as well."""
    replies = [reply for message in spec.messages.values() for reply in message.replies] + list(spec.unknown_message)
    names: set[str] = set()
    for reply in replies:
        texts = [*reply.with_.values(), *([reply.if_] if reply.if_ else [])]
        for text in texts:
            names.update(_IDENTIFIER.findall(text))
        names.update(name for name, _ in placeholders(reply.text or ""))
        target = spec.messages.get(reply.message or "")
        if target is not None:
            frames = [spec.frame] if spec.frame else list(spec.frames.values())
            rows = [row for frame in frames for row in (*frame.header, *frame.trailer)]
            names.update(_row_names((*rows, *target.fields)))
    return frozenset(names)


def _row_names(rows: Sequence[model.Row]) -> Iterator[str]:
    """Values of the rows and of groups among them; check values are worked out anew."""
    for row in rows:
        if isinstance(row, model.ValueRow) and not row.crc:
            yield row.name
        elif isinstance(row, model.GroupRow):
            yield from _row_names(row.fields)


def _is_word(note: ValueNote) -> bool:
    """True for a value with names, none of which is a number."""
    return bool(note.words) and all(isinstance(word, str) for word in note.words or ())


def _constant(data: bytes) -> Render:
    return lambda _values: data
