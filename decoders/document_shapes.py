"""Documents whose keys have been seen before: what has to be done with each value is known then.

Devices send the same keys all the time. For `{"metrics": {...}, "ts": ...}`, or values at the top, of a message whose
values need no reading (no mapping, no formula, no lists) a function is generated that takes the values of a document
with these keys, in the order of the spec. Whatever it does not expect is left to the reader of all documents, which
has the word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from decoders.document_kinds import Kind, time_text
from decoders.document_values import DocumentFields, may_be_extra
from decoders.json_text import LARGE
from decoders.source_writer import SourceWriter
from decoders.times import Zone, iso_from_unix_ms

__all__ = ["PROVEN", "Shapes"]

_MAX_SHAPES = 512
_MAX_KEYS = 64
_MAX_CHARACTERS = 2_048  # of all keys of a shape
_TIMES = ("device_timestamp", "ts")
_MS_FROM, _MS_TO = 100_000_000_000, 10_000_000_000_000_000
"""Integers that `time_text` takes for milliseconds."""
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "text": (str,),
    "flag": (bool,),
    "scalar": (int, float, str, bool),
    "any": (int, float, str, bool),
}
_ELSEWHERE = frozenset({"fields", "data"})
_CLASSES = {"INT": int, "FLOAT": float, "STR": str, "BOOL": bool}
_WORDS = {kind: word for word, kind in _CLASSES.items()}

PROVEN = -1
"""In place of a number of colons: no key stands twice in the document."""

_Read = Callable[[Mapping[str, Any], Mapping[str, Any], Zone, int], dict[str, Any] | None]
"""Document, the object that holds its values, zone, colons -> values; None where something in it is unusual."""
_Common = Callable[[Mapping[str, Any], Zone], dict[str, Any] | None]


class Shapes:
    """Of one message. common: reads identity and times of a document, None for unusual ones; names: those of its keys
    that it reads. keeps: values that the message does not name are kept."""

    __slots__ = ("_common", "_fields", "_keeps", "_known", "_names")

    def __init__(self, fields: DocumentFields, names: frozenset[str], common: _Common, *, keeps: bool = False) -> None:
        self._fields = fields
        self._keeps = keeps
        self._names = names
        self._common = common
        self._known: dict[tuple[str | None, ...], _Read | None] = {}

    @staticmethod
    def fit(fields: DocumentFields) -> bool:
        """Whether its values may be taken one by one."""
        return not (fields.groups or fields.lists or fields.packed or fields.derived or fields.negated)

    def read(self, document: dict[str, Any], zone: Zone, colons: int = PROVEN) -> dict[str, Any] | None:
        """The values; None where that is not so simple. colons: of a text that may have keys twice (`read_plain`)."""
        metrics = document.get("metrics")
        if metrics.__class__ is dict:
            key = (*document, None, *metrics)
        elif "metrics" in document:
            return None
        else:
            metrics = document
            key = (*document,)
        try:
            read = self._known[key]
        except KeyError:
            read = self._learn(key, document, metrics)
        return None if read is None else read(document, metrics, zone, colons)

    def _learn(
        self, key: tuple[str | None, ...], document: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> _Read | None:
        if len(key) > _MAX_KEYS or len(self._known) >= _MAX_SHAPES:
            return None
        if sum(len(name) for name in key if name is not None) > _MAX_CHARACTERS:
            return None
        read = self._known[key] = self._generated(document, metrics)
        return read

    def _generated(self, document: Mapping[str, Any], metrics: Mapping[str, Any]) -> _Read | None:
        kinds, common = self._fields.kinds, self._names & document.keys()
        if not _ELSEWHERE.isdisjoint(document) or not self._fields.hidden.isdisjoint(metrics):
            return None
        # A value that stands at the top too, or has the name of something else: which one counts is not told here.
        if not kinds.keys().isdisjoint(("message", *common) if metrics is document else document):
            return None
        out = SourceWriter({"__builtins__": {}, **_CLASSES})
        # In the order in which they stand among the values of any other document.
        taken = {name: Kind("scalar") for name in metrics if name not in kinds and may_be_extra(name) and self._keeps}
        taken |= {name: kind for name, kind in kinds.items() if name in metrics}
        items = []
        for name, kind in taken.items():
            test = _unusual(kind)
            if test is None:
                return None
            value = out.fresh()  # names of documents may be anything
            out.emit(f"{value} = values[{name!r}]")
            out.emit(f"if {test.format(x=value)}: return None")
            items.append(f"{name!r}: {value}")
        # Each key has its colon, and a text that is a time has its own: one more is of something that is not known.
        keys = str(len(document) + (len(metrics) if metrics is not document else 0))
        if common and not common.issubset(_TIMES):
            out.emit(f"common = {out.bind(self._common)}(document, zone)")
            out.emit("if common is None: return None")
            items.append("**common")
        elif common:
            keys = f"({keys} + moment.count(':') if moment.__class__ is STR else {keys})"
            _take_time(out, common)
            out.emit("if text is None: return None")
            items.append("'device_timestamp': text")
        out.emit(f"if colons != {PROVEN}:")
        out.emit(f"    if colons != {keys}: return None")
        moment = common if len(common) == 1 and common.issubset(_TIMES) else frozenset()
        others = [("values", name) for name in metrics if name not in taken and name not in moment]
        if metrics is not document:
            others += [("document", name) for name in document if name != "metrics" and name not in moment]
        for holder, name in others:  # nobody wants it, but an integer that is too large is none anywhere
            value = out.fresh()
            out.emit(f"    {value} = {holder}[{name!r}]")
            out.emit(f"    if {value}.__class__ is FLOAT and not {-LARGE} < {value} < {LARGE}: return None")
        out.emit(f"return {{{', '.join(items)}}}")
        source = "\n".join(["def read(document, values, zone, colons):", *out.lines])
        exec(compile(source, "<shape>", "exec"), out.namespace)  # noqa: S102 - generated above from closed parts
        read: _Read = out.namespace["read"]
        return read


def _take_time(out: SourceWriter, common: frozenset[str]) -> None:
    """`text`, of a document that says nothing but when: mostly it is a number of milliseconds."""
    name = next(name for name in _TIMES if name in common)
    out.emit(f"moment = document[{name!r}]")
    out.emit(f"if moment.__class__ is INT and {_MS_FROM} <= moment < {_MS_TO}:")
    out.emit(f"    text = {out.bind(iso_from_unix_ms)}(moment)")
    if len(common) == 1:
        out.emit(f"else: text = {out.bind(time_text)}(moment, zone)")
    else:  # where the first one says nothing the other one may
        out.emit("else: return None")


def _unusual(kind: Kind) -> str | None:
    """An expression, with `{x}` for the value, that is true for one that has to be read; None: all have to."""
    if kind.items or kind.convert is not None or kind.clock is not None or kind.word not in _PLAIN:
        return None
    numbers = [sentinel for sentinel in kind.absent if sentinel.__class__ is int]
    if len(numbers) != len(kind.absent) or (numbers and kind.word != "number"):
        return None
    classes = [f"{{x}}.__class__ is not {_WORDS[plain]}" for plain in _PLAIN[kind.word] if plain is not float]
    test = " and ".join(classes)
    if float in _PLAIN[kind.word]:  # a large one may have been an integer
        test = f"(not {-LARGE} < {{x}} < {LARGE} if {{x}}.__class__ is FLOAT else {test})"
    return " or ".join([test, *(f"{{x}} == {number!r}" for number in numbers)])
