"""Rules on messages: which frame is which, who it is from, and whether its replies can be made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decoders.errors import SpecProblem
from decoders.layout import Group, Nodes, Value, walk
from decoders.reference.codec import Selector
from decoders.reference.fields import own_rows, sizing_names
from decoders.replies import SESSION_NAMES, MessageReply
from decoders.reply_text import placeholders
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject

__all__ = ["MESSAGE_RULES"]


def _pairs(subject: Subject) -> Iterator[tuple[Selector, Selector]]:
    """Messages of one kind of frame that some frame can be both, the one that is tried first before the other."""
    seen: set[tuple[str, str]] = set()
    for kind in subject.product.kinds:
        selectors = kind.layout.selectors if kind.reference is not None else ()  # documents are told by their content
        for index, later in enumerate(selectors):
            for earlier in selectors[:index]:
                pair = (earlier.message, later.message)
                if pair not in seen and _overlapping(earlier, later):
                    seen.add(pair)
                    yield earlier, later


def _overlapping(earlier: Selector, later: Selector) -> bool:
    """True when one frame can fit both, and the earlier one asks for nothing that the later one does not ask for: a
    message with a condition of its own (a flag, a version) stands first on purpose."""
    one, other = dict(earlier.tests), dict(later.tests)
    if not one.keys() <= other.keys():
        return False
    return all(any(_meet(name, a, b) for a in spans for b in other[name]) for name, spans in one.items())


def _meet(name: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    if name == "first":
        return str(one[0]).startswith(str(other[0])) or str(other[0]).startswith(str(one[0]))
    if all(isinstance(value, int) for value in (*one, *other)):
        return bool(one[0] <= other[1] and other[0] <= one[1])
    return bool(one[0] == other[0])


def _covers(earlier: Selector, later: Selector) -> bool:
    """True when the earlier message takes every frame that the later one asks for."""
    one, other = dict(earlier.tests), dict(later.tests)
    return all(all(any(_holds(name, a, b) for a in spans) for b in other[name]) for name, spans in one.items())


def _holds(name: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    if name == "first":
        return str(other[0]).startswith(str(one[0]))
    if all(isinstance(value, int) for value in (*one, *other)):
        return bool(one[0] <= other[0] and other[1] <= one[1])
    return one == other


def _when(subject: Subject, name: str) -> tuple[str | int, ...]:
    place = subject.spec.place_of(name)
    return (*place, "when") if subject.spec.messages[name].when else place


def _unreachable(subject: Subject) -> Iterator[SpecProblem]:
    for earlier, later in _pairs(subject):
        if _covers(earlier, later):
            message = f"no frame is `{later.message}`: `{earlier.message}` takes them all"
            fix = f"give `{later.message}` a `when` of its own, or put it first"
            yield subject.problem("unreachable_message", _when(subject, later.message), message, fix, key=True)


def _overlap(subject: Subject) -> Iterator[SpecProblem]:
    for earlier, later in _pairs(subject):
        if not _covers(earlier, later):
            message = f"some frames are both `{earlier.message}` and `{later.message}`; the first one takes them"
            fix = "make the values differ, or put the message with more conditions first"
            yield subject.problem("overlapping_when", _when(subject, later.message), message, fix, key=True)


# Identity


def _no_identity(subject: Subject) -> Iterator[SpecProblem]:
    spec = subject.spec
    if list(spec.transports) != ["tcp"]:
        return  # a topic, a path or a network server names the device
    plans = subject.product.messages.values()
    if any(plan.whole.identities or plan.item.identities for plan in plans):
        return
    message = "nothing says which device a frame is from"
    yield subject.problem(
        "no_identity", ("product",), message, "mark the field that names it: `identity: device`, mostly in a login"
    )


# Replies


def _reply_needs(subject: Subject) -> Iterator[SpecProblem]:
    product = subject.product
    for name, plans in product.reply_plans.items():
        known = _known(subject, name)
        given: Any = subject.spec.messages[name].replies if name else subject.spec.unknown_message
        place = (*subject.spec.place_of(name), "replies") if name else ("unknown_message",)
        for index, (reply, plan) in enumerate(zip(given, plans, strict=False)):
            needed = set(_text_names(reply)) if reply.text is not None else _built_names(plan.render)
            for missing in sorted(needed - known):
                message = f"the reply needs `{missing}`, which `{name or 'an unknown message'}` does not have"
                fix = f"add `with: {{{missing}: ...}}`" if reply.text is None else "use a value of this message"
                yield subject.problem("reply_needs", (*place, index), message, fix)


def _known(subject: Subject, name: str) -> set[str]:
    """Values that are there when a reply to this message is made."""
    known = set(SESSION_NAMES)
    if name:
        known |= set(subject.product.messages[name].notes.notes)
        known |= set(subject.product.messages[name].notes.inner)
    else:
        frames = tuple(node for kind in subject.product.kinds for node in (*kind.layout.header, *kind.layout.trailer))
        rows = (node for node in walk(frames) if isinstance(node, Value))
        known |= {part.name for node in rows for part in node.parts if not part.hidden}
    for plan in subject.product.messages.values():
        known |= {value for _what, value in plan.session}
    return known


def _text_names(reply: model.Reply) -> list[str]:
    return [name for name, _ in placeholders(reply.text or "")]


def _built_names(render: Any) -> set[str]:
    """Values of the request without which a message cannot be built."""
    if not isinstance(render, MessageReply):
        return set()
    told = {name for name, source in render.sources.items() if source.formula is not None}
    nodes = render.encoder.nodes
    fields = set(_open_fields(nodes, told)) - sizing_names(nodes)
    needed: set[str] = set()
    for name, source in render.sources.items():
        if source.formula is not None:
            needed |= set() if source.formula.tolerant else set(source.formula.names)
        elif source.echo and name in fields:
            needed.add(source.echo)
    return needed


def _open_fields(nodes: Nodes, told: set[str], prefix: str = "") -> Iterator[str]:
    """Values and groups of a message that need a value of somebody. told: those that the reply gives."""
    for node in own_rows(nodes):
        if prefix + getattr(node, "name", "") in told:
            continue
        if isinstance(node, Value):
            computed = node.const is not None or node.check is not None or node.counts is not None
            if not computed and not node.bits and node.default is None:
                yield node.equals or node.name
        elif isinstance(node, Group) and any(_open_fields(node.nodes, told, f"{prefix}{node.name}.")):
            yield node.name


MESSAGE_RULES = (
    Rule(
        *("unreachable_message", "error", "every message can come: no earlier one takes all its frames"),
        *("give it a `when` of its own, or put it first", _unreachable),
    ),
    Rule(
        *("overlapping_when", "warning", "a frame is one message, not two"),
        *("make the values differ, or put the message with more conditions first", _overlap),
    ),
    Rule(
        *("no_identity", "warning", "over TCP some message says which device it is"),
        *("mark the field: `identity: device`", _no_identity),
        whole=True,
    ),
    Rule(
        *("reply_needs", "warning", "a reply needs no value that its message does not have"),
        *("give it with `with:`", _reply_needs),
    ),
)
