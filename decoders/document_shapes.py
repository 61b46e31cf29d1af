"""Documents whose keys have been seen before: what has to be done with each value is known then.

Devices send the same keys all the time. For `{"metrics": {...}, "ts": ...}` of a message whose values need no reading
(no mapping, no formula, no lists) the steps are remembered by the keys; whatever a step does not expect is left to the
reader of all documents, which has the word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from decoders.document_kinds import Kind, time_text
from decoders.document_values import DocumentFields
from decoders.times import Zone, iso_from_unix_ms

__all__ = ["Shapes"]

_MAX_SHAPES = 1_024
_MAX_KEYS = 64
_TIME = "ts"
_MS_FROM, _MS_TO = 100_000_000_000, 10_000_000_000_000_000
"""Integers that `time_text` takes for milliseconds."""
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "text": (str,),
    "flag": (bool,),
    "scalar": (int, float, str, bool),
    "any": (int, float, str, bool),
}
_ELSEWHERE = frozenset({"fields", "data", "message"})


@dataclass(slots=True, frozen=True)
class _Shape:
    """steps: name, types that are taken as they are, values that stand for none; in the order of the spec. timed: the
    only thing beside the metrics is `ts`. common: some other name that all documents share."""

    steps: tuple[tuple[str, tuple[type, ...], frozenset[int]], ...]
    timed: bool
    common: bool


class Shapes:
    """Of one message, the only one of its codec. common: reads identity and times of a document; names: those of its
    keys that it reads."""

    __slots__ = ("_common", "_fields", "_known", "_names")

    def __init__(
        self, fields: DocumentFields, names: frozenset[str], common: Callable[[Mapping[str, Any], Zone], dict[str, Any]]
    ) -> None:
        self._fields = fields
        self._names = names
        self._common = common
        self._known: dict[tuple[str | None, ...], _Shape | None] = {}

    @staticmethod
    def fit(fields: DocumentFields) -> bool:
        """Whether its values may be taken one by one."""
        return not (fields.groups or fields.lists or fields.packed or fields.derived or fields.negated)

    def read(self, document: Any, zone: Zone) -> dict[str, Any] | None:
        """The values; None where that is not so simple."""
        if document.__class__ is not dict:
            return None
        metrics = document.get("metrics")
        if metrics.__class__ is not dict:
            return None
        key = (*document, None, *metrics)
        try:
            shape = self._known[key]
        except KeyError:
            shape = self._learn(key, document, metrics)
        if shape is None:
            return None
        values = {}
        for name, types, absent in shape.steps:
            value = metrics[name]
            if value.__class__ not in types or value in absent:
                return None
            values[name] = value
        if shape.timed:
            moment = document[_TIME]
            plain = moment.__class__ is int and _MS_FROM <= moment < _MS_TO
            text = iso_from_unix_ms(moment) if plain else time_text(moment, zone)
            if text is not None:
                values["device_timestamp"] = text
        elif shape.common:
            values |= self._common(document, zone)
        return values

    def _learn(
        self, key: tuple[str | None, ...], document: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> _Shape | None:
        if len(key) > _MAX_KEYS or len(self._known) >= _MAX_SHAPES:
            return None
        shape = self._known[key] = self._shape(document, metrics)
        return shape

    def _shape(self, document: Mapping[str, Any], metrics: Mapping[str, Any]) -> _Shape | None:
        kinds = self._fields.kinds
        if not _ELSEWHERE.isdisjoint(document) or not kinds.keys().isdisjoint(document):
            return None
        if not self._fields.hidden.isdisjoint(metrics):
            return None
        steps = []
        for name, kind in kinds.items():
            if name in metrics:
                types, absent = _plain(kind)
                if not types:
                    return None
                steps.append((name, types, absent))
        common = self._names & document.keys()
        return _Shape(tuple(steps), common == {_TIME}, bool(common))


def _plain(kind: Kind) -> tuple[tuple[type, ...], frozenset[int]]:
    """Types of values that are taken as they are, and numbers that stand for none; no types: it has to be read."""
    if kind.items or kind.convert is not None or kind.clock is not None:
        return (), frozenset()
    numbers = frozenset(sentinel for sentinel in kind.absent if sentinel.__class__ is int)
    if len(numbers) != len(kind.absent) or (numbers and kind.word != "number"):
        return (), frozenset()
    return _PLAIN.get(kind.word, ()), numbers
