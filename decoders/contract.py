"""The data contract of a message as one generated check: required, type, range, enum; and texts that are none.

Why clocks and formulas have no value is told while they are read (`decoders.faults`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from decoders.naming import pattern_of
from decoders.source_writer import SourceWriter
from decoders.spec.notes import Structure, ValueNote
from decoders.types import Violation, ViolationCode

Check = Callable[[dict[str, Any]], list[Violation] | None]
BREACHES = frozenset(
    {ViolationCode.REQUIRED, ViolationCode.OUT_OF_RANGE, ViolationCode.NOT_IN_ENUM, ViolationCode.WRONG_TYPE}
)
"""Violations that break the contract; the others are flags only."""
_NO_TEXT = "\ufffd"
"""What stands in a text for bytes that its encoding does not know."""
_NUMBERS = frozenset({int, float})
_SCALARS = frozenset({int, float, bool, str})


def contract_check(structure: Structure, *, typed: bool) -> Check | None:
    """`values -> violations or None`; None when the message has no rules. typed: False for messages that also come as
    documents, whose values may be of any type."""
    namespace: dict[str, Any] = {
        "__builtins__": {
            "enumerate": enumerate,
            "KeyError": KeyError,
            "TypeError": TypeError,
            "AttributeError": AttributeError,
        },
        "Violation": Violation,
        "LIST": list,
        "DICT": dict,
        "NUMBERS": _NUMBERS,
        "SCALARS": _SCALARS,
        "is_bad_text": _is_bad_text,
        **{code.name: code for code in ViolationCode},
    }
    out = SourceWriter(namespace)
    out.emit("out = None")
    _rules(out, structure, "values", "", 0, typed)
    if len(out.lines) == 1:
        return None
    out.emit("return out")
    source = "\n".join(["def add(out, field, code):", "    if out is None: return [Violation(field, code)]"])
    source += "\n    out.append(Violation(field, code))\n    return out\n\n\n"
    source += "\n".join(["def breaches(values):", *out.lines]) + "\n"
    source += _quick(structure, namespace, typed)
    exec(compile(source, "<contract>", "exec"), namespace)  # noqa: S102 - generated above from closed parts
    check: Check = namespace["check"]
    return check


def _quick(structure: Structure, namespace: dict[str, Any], typed: bool) -> str:
    """Source of a check that only says whether all is well: most messages are, and need no name for each value."""
    out = SourceWriter(namespace)
    with out.block("try:"):
        _quick_rules(out, structure, "values", 0, typed)
    out.emit("except (KeyError, TypeError, AttributeError): return breaches(values)")
    return "\n".join(["\n\ndef check(values):", *out.lines]) + "\n"


def _quick_rules(out: SourceWriter, structure: Structure, values: str, depth: int, typed: bool) -> None:
    tests = [test for note in structure.notes.values() if (test := _quick_test(out, note, values, typed))]
    plain = _plain(structure)
    tests += [f"{out.bind(_computed_test(note, plain))}({values})" for note in _computed(structure)]
    if tests:
        out.emit(f"if not ({' and '.join(tests)}): return breaches(values)")
    for name, inner in structure.inner.items():
        if not _has_rules(inner) or depth > 8:
            continue
        part = out.fresh("part")
        if "{" in name:
            head = f"for {part} in {out.bind(_matching(name, plain))}({values}).values():"
        elif name in structure.lists:
            head = f"for {part} in {values}.get({name!r}) or ():"
        else:
            out.emit(f"{part} = {values}.get({name!r})")
            head = f"if {part} is not None:"
        with out.block(head):
            _quick_rules(out, inner, part, depth + 1, typed)


def _quick_test(out: SourceWriter, note: ValueNote, values: str, typed: bool) -> str:
    """An expression that is true for a good value, "" where all are. For a bad one it may raise instead."""
    if not _constrained(note) or "{" in note.name:
        return ""
    value, must = f"{values}[{note.name!r}]", note.required
    if note.items and (note.range is not None or note.words is not None or note.text):
        test = f"{out.bind(_items_test(note))}({value})"
        return test if must else f"({note.name!r} not in {values} or {test})"
    if note.range is not None:
        low, high = note.range
        if typed and note.number:
            test = f"{low!r} <= {value} <= {high!r}"
        else:  # of all that can be compared with numbers, only booleans are none
            part = out.fresh("x")
            test = f"{low!r} <= ({part} := {value}) <= {high!r} and {part} is not True and {part} is not False"
    elif note.words is not None:
        test = f"{value} in {out.bind(note.words)}"
    elif note.text:
        test = f"{_NO_TEXT!r} not in {value}"
    else:
        return f"{note.name!r} in {values}" if must else ""
    return test if must else f"({note.name!r} not in {values} or {test})"


def _items_test(note: ValueNote) -> Callable[[Any], bool]:
    """True for a list whose items, those that are there, keep range and words."""
    if note.range is None and note.words is None:
        return lambda items: not any(map(_is_bad_text, items))
    if note.range is None:
        words = note.words or frozenset()
        return lambda items: all(item is None or (item.__class__ in _SCALARS and item in words) for item in items)
    low, high = note.range

    def in_range(items: Any) -> bool:
        return all(item is None or (type(item) in _NUMBERS and low <= item <= high) for item in items)

    return in_range


def _computed(structure: Structure) -> list[ValueNote]:
    """Notes with rules, of values whose names are built while they are read."""
    return [note for note in structure.notes.values() if "{" in note.name and _constrained(note)]


def _plain(structure: Structure) -> list[str]:
    """Names that no computed one becomes."""
    return [name for name in (*structure.notes, *structure.inner) if "{" not in name]


def _matching(name: str, plain: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """Values with the names that a computed one may become."""
    pattern = pattern_of(name, plain)
    return lambda values: {key: value for key, value in values.items() if pattern.fullmatch(key)}


def _computed_test(note: ValueNote, plain: Sequence[str]) -> Callable[[Any], bool]:
    fits, matching = _items_test(note), _matching(note.name, plain)
    return lambda values: fits(matching(values).values())


def _computed_rule(out: SourceWriter, note: ValueNote, plain: Sequence[str], values: str, prefix: str) -> None:
    name, value = out.fresh("name"), out.fresh("x")
    path = f"f{f'{prefix}{{{name}}}'!r}"
    with out.block(f"for {name}, {value} in {out.bind(_matching(note.name, plain))}({values}).items():"):
        if note.range is not None:
            low, high = note.range
            out.emit(f"if {value}.__class__ not in NUMBERS: out = add(out, {path}, WRONG_TYPE)")
            out.emit(f"elif not {low!r} <= {value} <= {high!r}: out = add(out, {path}, OUT_OF_RANGE)")
        elif note.words is not None:
            known = f"{value}.__class__ in SCALARS and {value} in {out.bind(note.words)}"
            out.emit(f"if not ({known}): out = add(out, {path}, NOT_IN_ENUM)")
        else:
            out.emit(f"if is_bad_text({value}): out = add(out, {path}, BAD_TEXT)")


def _rules(out: SourceWriter, structure: Structure, values: str, prefix: str, depth: int, typed: bool) -> None:
    for note in structure.notes.values():
        if "{" not in note.name:
            _rule(out, note, values, prefix, typed)
    plain = _plain(structure)
    for note in _computed(structure):
        _computed_rule(out, note, plain, values, prefix)
    for name, inner in structure.inner.items():
        if not _has_rules(inner) or depth > 8:
            continue
        if "{" in name:
            key, group = out.fresh("name"), out.fresh("group")
            with out.block(f"for {key}, {group} in {out.bind(_matching(name, plain))}({values}).items():"):
                _rules(out, inner, group, f"{prefix}{{{key}}}.", depth + 1, typed)
        elif name in structure.lists:
            index, item = out.fresh("i"), out.fresh("item")
            found = out.fresh("found")  # a value of the same name may have taken the list's place
            out.emit(f"{found} = {values}.get({name!r})")
            with out.block(f"for {index}, {item} in enumerate({found} if {found}.__class__ is LIST else ()):"):
                out.emit(f"if {item}.__class__ is not DICT: continue")
                _rules(out, inner, item, f"{prefix}{name}[{{{index}}}].", depth + 1, typed)
        else:
            group = out.fresh("group")
            out.emit(f"{group} = {values}.get({name!r})")
            with out.block(f"if {group}.__class__ is DICT:"):
                _rules(out, inner, group, f"{prefix}{name}.", depth + 1, typed)


def _has_rules(structure: Structure) -> bool:
    return any(_constrained(note) for note in structure.notes.values()) or any(
        _has_rules(inner) for inner in structure.inner.values()
    )


def _constrained(note: ValueNote) -> bool:
    return note.required or note.range is not None or note.words is not None or note.text


def _is_bad_text(value: Any) -> bool:
    """True for a text with something in it that its encoding does not know."""
    return value.__class__ is str and _NO_TEXT in value


def _rule(out: SourceWriter, note: ValueNote, values: str, prefix: str, typed: bool) -> None:
    if not _constrained(note):
        return
    value = out.fresh("x")
    path = f"f{(prefix + note.name)!r}" if "{" in prefix else repr(prefix + note.name)

    def add(code: str) -> str:
        return f"out = add(out, {path}, {code})"

    out.emit(f"{value} = {values}.get({note.name!r})")
    word = "if"
    if note.required:
        out.emit(f"if {value} is None: {add('REQUIRED')}")
        word = "elif"
    if note.items:
        _item_rules(out, note, value, prefix, word)
        return
    guard = "" if note.required else f"{value} is not None and "
    if note.range is not None:
        low, high = note.range
        if typed and note.number:
            out.emit(f"{word} {guard}not {low!r} <= {value} <= {high!r}: {add('OUT_OF_RANGE')}")
            return
        with out.block(f"{word} {guard}{value}.__class__ in NUMBERS:"):
            out.emit(f"if not {low!r} <= {value} <= {high!r}: {add('OUT_OF_RANGE')}")
        out.emit(f"elif {value} is not None: {add('WRONG_TYPE')}")
    elif note.words is not None:
        # A list or an object cannot even be looked up.
        known = f"{value}.__class__ in SCALARS and {value} in {out.bind(note.words)}"
        out.emit(f"{word} {guard}not ({known}): {add('NOT_IN_ENUM')}")
    elif note.text:
        out.emit(f"{word} is_bad_text({value}): {add('BAD_TEXT')}")


def _item_rules(out: SourceWriter, note: ValueNote, value: str, prefix: str, word: str) -> None:
    """Range and words of the items of a list of plain values."""
    if note.range is None and note.words is None and not note.text:
        return
    index, item = out.fresh("i"), out.fresh("item")
    path = f"f{f'{prefix}{note.name}[{{{index}}}]'!r}"
    with (
        out.block(f"{word} {value}.__class__ is LIST:"),
        out.block(f"for {index}, {item} in enumerate({value}):"),
        out.block(f"if {item} is not None:"),
    ):
        if note.range is not None:
            low, high = note.range
            out.emit(f"if {item}.__class__ not in NUMBERS: out = add(out, {path}, WRONG_TYPE)")
            out.emit(f"elif not {low!r} <= {item} <= {high!r}: out = add(out, {path}, OUT_OF_RANGE)")
        elif note.words is not None:
            known = f"{item}.__class__ in SCALARS and {item} in {out.bind(note.words)}"
            out.emit(f"if not ({known}): out = add(out, {path}, NOT_IN_ENUM)")
        else:
            out.emit(f"if is_bad_text({item}): out = add(out, {path}, BAD_TEXT)")
    out.emit(f"elif {value} is not None: out = add(out, {prefix + note.name!r}, WRONG_TYPE)")


def units_of(structure: Structure, prefix: str = "") -> Mapping[str, str]:
    """Value name (with dots for groups) -> unit."""
    units = {prefix + note.name: note.unit for note in structure.notes.values() if note.unit}
    for name, inner in structure.inner.items():
        if name not in structure.lists:
            units.update(units_of(inner, f"{prefix}{name}."))
    return units
