"""What pydantic found wrong becomes problems that name a line, what was there, what was expected, the nearest word.

Pydantic says where an error is by a path through its own types: that path also names members of unions, which the
file does not hold, and every member of a union that did not fit reports its own errors. Here the path is walked
through the data and the model side by side, and of a union only the member that came closest is kept.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from decoders.errors import SpecError, SpecProblem
from decoders.spec.model_walk import Choice, choices_of, key_words, member_named, step

Model = TypeVar("Model", bound=BaseModel)
Path = tuple["str | int", ...]

_MAX_WORDS = 12
MAX_PROBLEMS = 100
"""Nobody reads more problems of one file."""
_MAX_ERRORS = 2000  # of pydantic's, of which several may be one problem
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_SHOWN = "something else (not shown: a secret)"
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "byte_size": "a size in bytes, such as 1048576 or 64MiB",
    "byte_size_unit": "a size in bytes, such as 1048576 or 64MiB",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "none_required": "nothing (null)",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text of the form `{pattern}`",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
_OTHER_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("framing", "framer"), ("frame",)),
    **dict.fromkeys(("match", "selector", "condition", "conditions", "id"), ("when", "if")),
    **dict.fromkeys(("payload", "body", "rows", "layout", "structure"), ("fields",)),
    **dict.fromkeys(("factor", "multiplier", "resolution", "divisor", "gain"), ("scale",)),
    **dict.fromkeys(("description", "desc", "comment", "doc", "label"), ("note",)),
    **dict.fromkeys(("values", "mapping", "names"), ("enum", "values")),
    **dict.fromkeys(("separator", "delimiter", "sep"), ("split", "delimiter")),
    **dict.fromkeys(("checksum", "check"), ("crc",)),
    **dict.fromkeys(("byte_order", "order", "endianness"), ("endian",)),
    **dict.fromkeys(("bit", "place", "position"), ("at",)),
    **dict.fromkeys(("length", "len", "width", "size"), ("bytes", "size", "width")),
    **dict.fromkeys(("min", "max", "limits"), ("range",)),
    **dict.fromkeys(("timezone", "tz"), ("zone",)),
    **dict.fromkeys(("acks", "ack", "reply", "answers", "response"), ("replies",)),
    **dict.fromkeys(("invalid", "none", "missing", "na"), ("absent",)),
    **dict.fromkeys(("end", "terminator"), ("until",)),
    **dict.fromkeys(("expression", "calc"), ("formula",)),
}
"""Keys of other languages -> ours, of which the first one that is known at the place is meant."""
_NOT_HERE: Mapping[str, str] = {
    "negate": "it is of rows that read bytes; here the formula says the sign: `-x if south else x`",
    "bits": "they are of rows that read bytes; here `bits(x, low, high)` or `bit(x, n)` in the formula",
}
"""Keys that formula rows do not have -> what to write there."""
_SHAPE = frozenset(code for code in _EXPECTED if code.endswith(("_type", "_parsing"))) | {"none_required"}
_WEIGHT = {"missing": 3, "extra_forbidden": 2}
"""How much one error speaks against a member of a union; 1 where not named."""
_WRONG_MARKER = 10


class PlacedData(Protocol):
    """Data that knows where its values stand: a Document, or several sources laid over each other."""

    @property
    def data(self) -> Any: ...

    def where(self, path: Sequence[str | int], *, key: bool = False) -> tuple[str, int, int]: ...

    def path_text(self, path: Sequence[str | int]) -> str: ...

    def hidden(self, path: Sequence[str | int]) -> bool:
        """True for a value that no message may show."""
        ...


@dataclass(slots=True)
class _Fault:
    """One error of pydantic, found again in the data. `branches`: (depth in `path`, union member) on the way."""

    path: Path
    branches: tuple[tuple[int, str], ...]
    type: str
    input: Any
    ctx: dict[str, Any]
    text: str
    choices: list[Choice]
    at_key: bool = False
    expected: list[str] = field(default_factory=list)


def validate(model: type[Model], document: PlacedData) -> Model:
    """The document's data as an instance of `model`. Raises SpecError with every problem."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(problems_from(error, document, model)) from None


def problems_from(
    error: ValidationError, document: PlacedData, model: type[BaseModel] | None = None
) -> list[SpecProblem]:
    """One problem per place, in the order of the file.

    `model` is the class that was validated; without it unknown keys get no hint. The whole of `document.data` must be
    what was validated. A validator's own ValueError is shown as it is. A PydanticCustomError may carry `hint` in its
    context; one of type `expected` names what was expected and is completed with what was there.
    """
    root = choices_of(model) if model else []
    errors = error.errors(include_url=False, include_context=True, include_input=True)
    faults = [_locate(item, document.data, root) for item in errors[:_MAX_ERRORS]]
    kept = _one_per_place(_reduce(faults, 0))
    problems = [_problem(fault, document) for fault in kept[:MAX_PROBLEMS]]
    return sorted(problems, key=lambda problem: (problem.source, problem.line, problem.column))


def nearest(word: str, words: Iterable[str]) -> str:
    """The word of `words` that was probably meant, or ""."""
    by_plain = {known.lower().replace("-", "_"): known for known in words}
    plain = word.lower().replace("-", "_")
    if len(word) > 3:
        found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    else:  # half of a word as short as `u9` is all that can be alike: then it begins alike
        found = difflib.get_close_matches(plain, [known for known in by_plain if known[:1] == plain[:1]], 1, 0.5)
    return by_plain[found[0]] if found else ""


def describe(value: Any) -> str:
    """A value of a file in words, short enough for one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            shown = _CONTROL.sub(lambda found: repr(found[0])[1:-1], value)
            return f"the text '{shown if len(shown) <= 40 else shown[:37] + '...'}'"
        case int() | float():
            return f"the number {str(value)[:40]}"
        case Mapping():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
    return f"a value of type {type(value).__name__}"


def _locate(item: Any, data: Any, choices: list[Choice]) -> _Fault:
    if item["type"] == "invalid_key":  # a number where the model has fields: it can be none of them
        item = {**item, "type": "extra_forbidden"}
    loc: tuple[str | int, ...] = item["loc"]
    path: list[str | int] = []
    branches: list[tuple[int, str]] = []
    at_key = False
    for index, element in enumerate(loc):
        last = index == len(loc) - 1
        member = member_named(choices, element)
        tagged = [Choice(choice.type) for choice in choices if choice.tag and choice.tag == element]
        if element == "[key]" and last:
            at_key = True
        elif tagged:  # the member of a union by its tag, even where the data has a key of this name
            choices = tagged
            branches.append((len(path), str(element)))
        elif member is not None and not (_holds(data, element) and step(choices, element)):
            choices = member
            branches.append((len(path), str(element)))
        elif _holds(data, element):
            choices = step(choices, element) if not (last and item["type"] == "extra_forbidden") else choices
            data = data[element]
            path.append(element)
        elif last and item["type"] == "missing":
            choices = step(choices, element)
            path.append(element)
        else:
            branches.append((len(path), str(element)))
    ctx = dict(item.get("ctx", {}))
    if item["type"] == "union_tag_invalid":
        path.append(str(ctx["discriminator"]).strip("'"))
    elif item["type"] == "union_tag_not_found":
        path.append(str(ctx["discriminator"]).strip("'"))
        item = {**item, "type": "missing"}
    at_key = at_key or item["type"] == "extra_forbidden"
    fault = _Fault(tuple(path), tuple(branches), item["type"], item["input"], ctx, item["msg"], choices, at_key)
    fault.expected = _expected(fault)
    return fault


def _holds(data: Any, element: str | int) -> bool:
    if isinstance(data, Mapping):
        return element in data
    return isinstance(data, list) and isinstance(element, int) and 0 <= element < len(data)


def _expected(fault: _Fault) -> list[str]:
    if fault.type == "union_tag_invalid":
        return [_or(_quoted_words(str(fault.ctx["expected_tags"])))]
    if fault.type == "expected":
        return [fault.text]
    template = _EXPECTED.get(fault.type)
    if template is None:
        return []
    if fault.type in ("literal_error", "enum"):
        words = _quoted_words(str(fault.ctx["expected"]))
        return [_or(words)] if words else [str(fault.ctx["expected"])]
    return [template.format(**{name: _short(value) for name, value in fault.ctx.items()})]


def _short(value: Any) -> Any:
    return f"{value:.15g}" if isinstance(value, float) else value


def _reduce(faults: list[_Fault], level: int) -> list[_Fault]:
    """Of the members of each union, keeps the faults of the one that came closest."""
    kept: list[_Fault] = []
    unions: dict[tuple[Any, ...], dict[str, list[_Fault]]] = {}
    for fault in faults:
        if len(fault.branches) <= level:
            kept.append(fault)
            continue
        depth, member = fault.branches[level]
        place = (fault.path[:depth], fault.branches[:level], depth)
        unions.setdefault(place, {}).setdefault(member, []).append(fault)
    for (_, _, depth), members in unions.items():
        reduced = [_reduce(member, level + 1) for member in members.values()]
        kept.extend(_closest(reduced, depth))
    return kept


def _closest(members: list[list[_Fault]], depth: int) -> list[_Fault]:
    """`depth`: length of the path to the union."""
    entered = [faults for faults in members if not any(_refused_here(fault, depth) for fault in faults)]
    if entered:
        return min(entered, key=lambda faults: sum(_weight(fault) for fault in faults))
    here = [fault for faults in members for fault in faults if len(fault.path) == depth and fault.expected]
    if not here:
        return members[0]
    # No member takes such a value: one fault that says what all of them expected. A list of words explains most.
    best = next((fault for fault in here if fault.type in ("literal_error", "enum")), here[0])
    best.expected = list(dict.fromkeys(text for fault in here for text in fault.expected))
    return [best]


def _weight(fault: _Fault) -> int:
    # A field that allows one word only marks its member: another member was meant.
    if fault.type == "literal_error" and len(_quoted_words(str(fault.ctx["expected"]))) == 1:
        return _WRONG_MARKER
    return _WEIGHT.get(fault.type, 1)


def _refused_here(fault: _Fault, depth: int) -> bool:
    return len(fault.path) == depth and (fault.type in _SHAPE or fault.type in ("literal_error", "enum"))


def _one_per_place(faults: list[_Fault]) -> list[_Fault]:
    places: dict[Path, _Fault] = {}
    for fault in faults:
        places.setdefault(fault.path, fault)
    # A misspelt key is reported once, not also as the missing one that it was meant to be.
    meant = {
        (*fault.path[:-1], _key_meant(str(fault.path[-1]), key_words(fault.choices)))
        for fault in places.values()
        if fault.type == "extra_forbidden"
    }
    return [fault for fault in places.values() if not (fault.type == "missing" and fault.path in meant)]


def _problem(fault: _Fault, document: PlacedData) -> SpecProblem:
    source, line, column = document.where(fault.path, key=fault.at_key)
    message, hint = _words(fault, hidden=document.hidden(fault.path))
    return SpecProblem(source, line, column, document.path_text(fault.path), message, hint, fault.type)


def _words(fault: _Fault, *, hidden: bool) -> tuple[str, str]:
    """Message and hint."""
    if fault.type == "extra_forbidden":
        word = str(fault.path[-1])
        if not word.isidentifier() and (fault.input is None or isinstance(fault.path[-1], int)):
            return f"unknown key `{word}`", "text with a comma in it stands in quotes"
        known = key_words(fault.choices)
        if word in _NOT_HERE and "formula" in known and word not in known:
            return f"unknown key `{word}`", _NOT_HERE[word]
        return f"unknown key `{word}`", _meant(word, known, list_all=True)
    if fault.type == "missing":
        return f"the key `{fault.path[-1]}` is required and missing", ""
    if fault.type == "union_tag_invalid":
        tag, words = str(fault.ctx["tag"]), _quoted_words(str(fault.ctx["expected_tags"]))
        if hidden:
            return f"expected {_or(words)}, got {_NOT_SHOWN}", ""
        return f"expected {_or(words)}, got the text '{tag}'", _meant(tag, words)
    if "error" in fault.ctx:  # raised by a validator of ours, which says it all
        return str(fault.ctx["error"]), ""
    hint = str(fault.ctx.get("hint", ""))
    if not fault.expected:
        text = fault.text if fault.text[1:2].isupper() else fault.text[:1].lower() + fault.text[1:]
        return text, hint
    secret = hidden or any(choice.type in (SecretStr, SecretBytes) for choice in fault.choices)
    got = _NOT_SHOWN if secret else describe(fault.input)
    if not hint and not secret and isinstance(fault.input, str) and fault.type in ("literal_error", "enum"):
        hint = _meant(fault.input, _quoted_words(str(fault.ctx["expected"])))
    elif not hint and fault.expected == ["text"] and isinstance(fault.input, (int, float)):
        hint = "put it in quotes"
    elif not hint and fault.expected == ["a mapping"]:
        hint = _indented(fault)
    return f"expected {_or(fault.expected, quote='')}, got {got}", hint


def _indented(fault: _Fault) -> str:
    """What to do where YAML's indentation made something else of what was meant."""
    key = str(fault.path[-1]) if fault.path else ""
    if key in key_words(fault.choices):
        return f"`{key}` is a key of the one above it: indent it deeper"
    return "what belongs to it is indented below it" if fault.input is None and key else ""


def _meant(word: str, words: Sequence[str], *, list_all: bool = False) -> str:
    if close := _key_meant(word, words):
        return f"did you mean `{close}`?"
    return f"known here: {', '.join(words)}" if list_all and 0 < len(words) <= _MAX_WORDS else ""


def _key_meant(word: str, words: Sequence[str]) -> str:
    """The key that this one should be, or ""."""
    usual = _OTHER_KEYS.get(word.lower().replace("-", "_"), ())
    return next((key for key in usual if key in words), "") or nearest(word, words)


def _quoted_words(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _or(words: Sequence[str], quote: str = "'") -> str:
    shown = [f"{quote}{word}{quote}" for word in words[:_MAX_WORDS]]
    if len(words) > _MAX_WORDS:
        shown.append(f"one of {len(words) - _MAX_WORDS} more")
    return f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else "".join(shown)
