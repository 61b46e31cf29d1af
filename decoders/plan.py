"""MessagePlan: what is fixed about one message, and how its values become parts of records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from decoders.contract import Check
from decoders.metering.formats import unit_by_name
from decoders.naming import pattern_of
from decoders.spec.notes import Structure
from decoders.types import Identity, RecordPart, Violation

Values = dict[str, Any]


@dataclass(slots=True)
class StructurePlan:
    """Which values of a structure are metrics, which are times and identities."""

    drop: tuple[str, ...] = ()  # values that are no metrics
    groups: tuple[str, ...] = ()  # nested objects, flattened with dots
    drop_patterns: tuple[re.Pattern[str], ...] = ()  # the same of values whose names are built while reading
    group_patterns: tuple[re.Pattern[str], ...] = ()
    identities: tuple[tuple[str, str], ...] = ()  # (role, value name)
    device_time: str = ""
    hub_time: str = ""
    _dropped: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self._dropped = frozenset(self.drop)

    def metrics(self, values: Values) -> Values:
        dropped = self._dropped
        metrics = {name: value for name, value in values.items() if name not in dropped}
        for name in self.groups:
            if metrics.get(name).__class__ is dict:  # a value of the same name may have taken its place
                _flatten(metrics, name, metrics.pop(name))
        if self.drop_patterns or self.group_patterns:
            self._computed(metrics)
        return metrics

    def _computed(self, metrics: Values) -> None:
        for name in list(metrics):
            if any(pattern.fullmatch(name) for pattern in self.drop_patterns):
                del metrics[name]
            elif metrics[name].__class__ is dict and any(item.fullmatch(name) for item in self.group_patterns):
                _flatten(metrics, name, metrics.pop(name))


def _flatten(into: Values, prefix: str, group: Values) -> None:
    for name, value in group.items():
        if isinstance(value, dict):
            _flatten(into, f"{prefix}.{name}", value)
        else:
            into[f"{prefix}.{name}"] = value


@dataclass(slots=True)
class DedupPlan:
    """What a copy of a message is known by, and for how long.

    names: the key as the spec says it; () where only a `trace_id` counts. paths: its values, as paths into nested ones.
    about: values that name devices; those that are there belong to the key. frame: so do the frame's bytes. traced: the
    message may say a `trace_id`, which then is the key. count: so many messages of a device are remembered at least;
    kept: the largest such number of the product's messages.
    """

    names: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    about: tuple[str, ...] = ()
    frame: bool = False
    traced: bool = False
    window_ms: int = 600_000
    count: int = 128
    kept: int = 128

    def key(self, values: Values, wire: bytes) -> list[Any] | None:
        """The values of the key in a fixed order; None when one of them is missing: then nothing is a copy."""
        if self.traced and (trace := values.get(TRACE)) is not None:
            return [TRACE, trace, *[values.get(name) for name in self.about]]
        if not self.names:
            return None
        found: list[Any] = [wire.hex()] if self.frame else []
        for path in self.paths:
            value: Any = values
            for step in path:
                value = value.get(step) if value.__class__ is dict else None
            if value is None:
                return None
            found.append(value)
        if self.about:
            found += [values.get(name) for name in self.about]
        return found


TRACE = "trace_id"
"""Under this name a document says which of its sender's messages it is."""


@dataclass(slots=True)
class MessagePlan:
    """What is fixed about one message of a product.

    record: `telemetry`, `event`, ... or `none` (settles at once, makes no record).
    login: the message names the device (an `identity:` field); the session keeps what it says.
    policy: `flag` or `reject`: what a broken contract does. units: metric name -> unit; unit_patterns:
    the same for names that are built while a message is read.
    records: name of the list whose items become one record each, or "".
    """

    name: str
    record: str
    login: bool
    policy: str = "flag"
    title: str = ""
    measurement: str = ""
    data_type: str = ""
    units: dict[str, str] = field(default_factory=dict)
    unit_patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    formats: tuple[str, ...] = ()  # of meter records that come under their own names
    records: str = ""
    check: Check | None = None
    whole: StructurePlan = field(default_factory=StructurePlan)
    item: StructurePlan = field(default_factory=StructurePlan)
    session: tuple[tuple[str, str], ...] = ()  # (what: zone | keep, value name)
    traced: bool = False  # it may say a `trace_id`
    dedup: DedupPlan | None = None  # None: every message counts, however alike
    notes: Structure = field(default_factory=Structure)  # what the spec says of each value, frame fields too

    def unit_of(self, name: str) -> str:
        """The unit of a metric, "" for none."""
        unit = self.units.get(name, "")
        if not unit:
            unit = next((unit for pattern, unit in self.unit_patterns if pattern.fullmatch(name)), "")
        return unit or unit_by_name(name, self.formats)

    def identity(self, values: Values) -> Identity | None:
        """Who the frame says it is from, or None when it says nothing."""
        return _identity(self.whole.identities, values) if self.whole.identities else None

    def record_identity(self, values: Values) -> Identity | None:
        """Who the first record that names its own device or hub is about."""
        for item in (values.get(self.records) or ()) if self.records and self.item.identities else ():
            found = _identity(self.item.identities, item)
            if found is not None and (found.device_id or found.hub_id):
                return found
        return None

    def parts(self, values: Values, violations: list[Violation] | None) -> list[RecordPart]:
        """The values of each record that the message makes."""
        whole = self.whole
        metrics = whole.metrics(values)
        device_time, hub_time = values.get(whole.device_time, ""), values.get(whole.hub_time, "")
        if not self.records or self.records not in values:  # no list: its frame is one record
            return [RecordPart(metrics, device_time, hub_time, violations, None)]
        metrics.pop(self.records, None)
        parts = []
        for index, item in enumerate(values.get(self.records) or ()):
            parts.append(
                RecordPart(
                    {**metrics, **self.item.metrics(item)},
                    item.get(self.item.device_time, device_time),
                    item.get(self.item.hub_time, hub_time),
                    _item_flags(violations, f"{self.records}[{index}]."),
                    _identity(self.item.identities, item) if self.item.identities else None,
                )
            )
        return parts


@dataclass(slots=True)
class Decoded:
    """One frame, understood.

    message: the plan of the message (name, record type, replies, identity, metrics).
    values: every named field as the spec names it, header included. violations: contract breaches and flags.
    kind: number of the kind of frame that it came in; -1: in none.
    """

    message: MessagePlan
    values: Values
    violations: list[Violation] | None = None
    kind: int = -1


def _identity(roles: tuple[tuple[str, str], ...], values: Values) -> Identity | None:
    identity = Identity()
    for role, name in roles:
        value = values.get(name)
        if value is None or value == "":
            continue
        if role == "device":
            identity.device_id = str(value)
        elif role == "hub":
            identity.hub_id = str(value)
        else:
            identity.child_id = str(value)
    return identity if identity.device_id or identity.hub_id or identity.child_id else None


def _item_flags(violations: list[Violation] | None, prefix: str) -> list[Violation] | None:
    """Violations of the whole message and of this item; the item's without the list's name."""
    if not violations:
        return None
    list_name = prefix.partition("[")[0] + "["
    mine = [
        Violation(violation.field.removeprefix(prefix), violation.code)
        for violation in violations
        if violation.field.startswith(prefix) or not violation.field.startswith(list_name)
    ]
    return mine or None


def structure_plan(structure: Structure, *, frame_names: frozenset[str] = frozenset()) -> StructurePlan:
    """frame_names: values of header and trailer, which are no metrics unless their row says `metric: true`."""
    drop = list(structure.quiet)
    identities = []
    device_time = hub_time = ""
    for name, note in structure.notes.items():
        if note.identity:
            identities.append((note.identity, name))
        if note.timestamp == "device" and not device_time:
            device_time = name
        elif note.timestamp == "hub" and not hub_time:
            hub_time = name
        default = name not in frame_names and not note.identity and not note.timestamp and not note.session
        if not (default if note.metric is None else note.metric):
            drop.append(name)
    groups = [name for name in structure.inner if name not in structure.lists and name not in structure.quiet]
    objects = (re.compile(re.escape(name)) for name in sorted(structure.objects))
    plain = [name for name in (*structure.notes, *structure.inner) if "{" not in name]
    patterns = (*_patterns(groups, plain), *objects)
    return StructurePlan(
        tuple(drop), tuple(groups), _patterns(drop, plain), patterns, tuple(identities), device_time, hub_time
    )


def _patterns(names: list[str], plain: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Patterns of the computed ones among the names. plain: names that no computed one becomes."""
    return tuple(pattern_of(name, plain) for name in names if "{" in name)


def with_document_names(plan: StructurePlan) -> StructurePlan:
    """The same for a message that also comes as JSON, with the names that all JSON of the gateway uses."""
    names = {"device": "device_id", "hub": "hub_id", "child": "childDeviceId"}
    identities = plan.identities + tuple(item for item in names.items() if item not in plan.identities)
    drop = (*plan.drop, *names.values(), "device_timestamp", "hub_timestamp", TRACE)
    return StructurePlan(
        drop,
        plan.groups,
        plan.drop_patterns,
        plan.group_patterns,
        identities,
        plan.device_time or "device_timestamp",
        plan.hub_time or "hub_timestamp",
    )


def has_metrics(structure: Structure, plan: StructurePlan) -> bool:
    """True when some value of the message could become a metric."""
    if structure.open:
        return True
    if any(name not in plan.drop for name in structure.notes):
        return True
    return any(
        bool(inner.notes) or bool(inner.inner) or name in plan.groups
        for name, inner in structure.inner.items()
        if name not in structure.quiet
    )
