"""`replies:` of a message -> the plans that render them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from decoders.encode import Encoder
from decoders.fused.refusal import Unsupported
from decoders.fused_encoder import Source, fused_encoder
from decoders.layout import Value, walk
from decoders.reference.codec import FrameLayout
from decoders.replies import SESSION_NAMES, MessageReply, Render, ReplyPlan, placeholders, text_reply
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder
from decoders.spec.frames import FramePlan
from decoders.spec.message_draft import MessageDraft
from decoders.spec.notes import Path
from decoders.times import Zone


@dataclass(slots=True)
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
        *,
        unknown: bool = False,
    ) -> list[ReplyPlan]:
        """What a message is answered with. frames: those in which the request comes; `path` is that of the list for
        `unknown` messages."""
        plans = []
        for index, reply in enumerate(replies):
            here = path if unknown else (*path, "replies", index)
            test = self.converts.formula(reply.if_, (*here, "if"))
            if reply.hex is not None:
                plans.append(ReplyPlan("hex", _constant(bytes.fromhex(reply.hex)), test))
            elif reply.text is not None:
                self._check_text(reply.text, here)
                plans.append(ReplyPlan("text", text_reply(reply.text), test, of_session=True))
            else:
                render = self._message_reply(reply, here, frames)
                if render is not None:
                    of_session = render.uses_zone or not (SESSION_NAMES | self.kept).isdisjoint(render.names)
                    plans.append(ReplyPlan(reply.message or "", render, test, of_session))
            if plans and test is not None and not (SESSION_NAMES | self.kept).isdisjoint(test.names):
                plans[-1].of_session = True
        return plans

    def _check_text(self, text: str, path: Path) -> None:
        known = {name for message in self.messages for name in message.structure.notes} | SESSION_NAMES
        known |= {name for message in self.messages for plan in message.frames for name in plan.notes.notes}
        for name in placeholders(text):
            if name not in known:
                self.converts.report(
                    (*path, "text"), f"no value `{name}`", f"values and {', '.join(sorted(SESSION_NAMES))}"
                )

    def _message_reply(
        self,
        reply: model.Reply,
        path: Path,
        frames: Sequence[FramePlan],
    ) -> MessageReply | None:
        target = next((message for message in self.messages if message.name == reply.message), None)
        if target is None or not target.spec.downlink:
            words = [message.name for message in self.messages if message.spec.downlink]
            near = difflib.get_close_matches(reply.message or "", words, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"downlink messages: {', '.join(words) or 'none'}"
            self.converts.report((*path, "message"), f"no downlink message `{reply.message}`", hint)
            return None
        out = next((plan for plan in frames if plan in target.frames), target.frames[0])
        frame = self.layouts[out.kind.index]
        layout = frame.messages[target.name]
        encoder = self.encoder_of(target, out, frame)
        sources = self._sources(reply, target, encoder, path)
        try:
            fused = fused_encoder(frame, layout, sources, out.kind.escape, self.zone)
        except Unsupported:
            fused = None
        return MessageReply(encoder, sources, fused)

    def _sources(self, reply: model.Reply, target: MessageDraft, encoder: Encoder, path: Path) -> dict[str, Source]:
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
                formula = self.converts.formula(reply.with_[name], (*path, "with", name))
                if formula is not None:
                    sources[name] = Source(formula=formula)
            elif isinstance(when, int | str):
                sources[name] = Source(constant=self.converts.span(when, target.path)[0])
            elif name in defaults:
                sources[name] = Source(constant=defaults[name])
            else:
                sources[name] = Source(echo=name)
        for name in reply.with_:
            if name not in encoder.fields:
                near = difflib.get_close_matches(name, list(encoder.fields), 1)
                hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(encoder.fields)}"
                self.converts.report((*path, "with", name), f"`{target.name}` has no field `{name}`", hint)
        return sources


def _constant(data: bytes) -> Render:
    return lambda _values: data
