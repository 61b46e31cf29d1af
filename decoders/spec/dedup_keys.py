"""`dedup:` of a spec -> what each message's copies are known by, with every mistake named by its place in the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from decoders.document import COMMON_VALUES
from decoders.plan import DedupPlan, MessagePlan
from decoders.spec import model
from decoders.spec.message_draft import MessageDraft
from decoders.spec.notes import Path, Report, Structure
from decoders.spec.problems import nearest

__all__ = ["WHOLE_FRAME", "dedup_text", "key_names", "set_dedup"]

WHOLE_FRAME = "frame"
"""In place of a name: all bytes of the frame."""

_TRACED = model.DedupSpec(key="trace_id")


def key_names(spec: model.DedupSpec) -> list[str]:
    return [spec.key] if isinstance(spec.key, str) else list(spec.key)


def dedup_text(plan: DedupPlan | None) -> str:
    """`serial, time within 600 s, among the last 128`; "" where copies are not looked for."""
    if plan is None or not plan.names:
        return ""
    return f"{', '.join(plan.names)} within {plan.window_ms / 1000:g} s, among the last {plan.count}"


def set_dedup(
    plans: Mapping[str, MessagePlan], drafts: Sequence[MessageDraft], spec: model.SpecFile, report: Report
) -> None:
    """Gives each message that makes records its plan. A message's own `dedup` comes before that of the top, which holds
    for the messages that have all values of its key. Messages of documents may say a `trace_id` in any case."""
    known: set[str] = set()
    applied = False
    for draft in drafts:
        plan, own = plans[draft.name], draft.spec.dedup
        if draft.spec.downlink or own is False:
            continue
        names = {*_names(plan.notes), WHOLE_FRAME, *(COMMON_VALUES if plan.traced else ())}
        if own is not None:
            path: Path = (*draft.path, "dedup")
            if plan.record == "none":
                report(path, "the message leaves no record, so a copy of it leaves none twice", "remove `dedup`")
            _check(own, names, path, report, "value of this message")
        elif spec.dedup is not None and plan.record != "none":
            known |= names
            if names.issuperset(key_names(spec.dedup)):
                own, applied = spec.dedup, True
        if plan.record != "none" and (own is not None or plan.traced):
            plan.dedup = _plan(own or _TRACED, plan)
    if spec.dedup is not None and not applied:
        _check(spec.dedup, known, ("dedup",), report, "value of any message that makes records")
        if known.issuperset(key_names(spec.dedup)):
            what = "no message that makes records has all of these values"
            report(("dedup", "key"), what, "give the messages a `dedup` of their own")
    kept = max((plan.dedup.count for plan in plans.values() if plan.dedup is not None), default=0)
    for plan in plans.values():
        if plan.dedup is not None:
            plan.dedup.kept = kept


def _plan(spec: model.DedupSpec, plan: MessagePlan) -> DedupPlan:
    names = () if spec is _TRACED else tuple(key_names(spec))
    return DedupPlan(
        names,
        tuple(tuple(name.split(".")) for name in names if name != WHOLE_FRAME),
        tuple(name for _, name in plan.whole.identities),
        WHOLE_FRAME in names,
        plan.traced,
        round(spec.window_s * 1000),
        spec.count,
    )


def _check(spec: model.DedupSpec, names: Collection[str], path: Path, report: Report, what: str) -> None:
    for index, name in enumerate(key_names(spec)):
        if name not in names:
            close = nearest(name, sorted(names))
            hint = f"did you mean `{close}`?" if close else "hidden rows have no value: `hidden: false`"
            place: Path = (*path, "key") if isinstance(spec.key, str) else (*path, "key", index)
            report(place, f"`{name}` is no {what}", hint)


def _names(structure: Structure, prefix: str = "") -> Iterator[str]:
    """Values by their paths, those of groups included; lists as a whole."""
    for name in structure.notes:
        if "{" not in name:
            yield prefix + name
    for name, inner in structure.inner.items():
        if "{" in name:
            continue
        yield prefix + name
        if name not in structure.lists:
            yield from _names(inner, f"{prefix}{name}.")
