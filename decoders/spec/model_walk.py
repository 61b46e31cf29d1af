"""Walks pydantic models along the path of an error: which keys could stand at that place?"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, RootModel, Tag
from typing_extensions import TypeAliasType


@dataclass(slots=True, frozen=True)
class Choice:
    """One type that a value may have. `tag`: its name in a union with a callable discriminator."""

    type: Any
    tag: str = ""


def choices_of(annotation: Any, tag: str = "") -> list[Choice]:
    """The members of a (nested, optional, annotated, aliased) union; the annotation itself where it is none."""
    origin = get_origin(annotation)
    if isinstance(annotation, TypeAliasType):
        return choices_of(annotation.__value__, tag)
    if isinstance(origin, TypeAliasType):
        return choices_of(origin.__value__, tag)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return choices_of(inner, next((item.tag for item in metadata if isinstance(item, Tag)), tag))
    if origin in (Union, types.UnionType):
        return [choice for member in get_args(annotation) for choice in choices_of(member, tag)]
    if annotation is types.NoneType:
        return []
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return choices_of(annotation.model_fields["root"].annotation, tag or annotation.__name__)
    return [Choice(annotation, tag)]


def step(choices: list[Choice], item: str | int) -> list[Choice]:
    """The types of the value under a key or index; [] where nothing is known."""
    found: list[Choice] = []
    for choice in choices:
        origin, arguments = get_origin(choice.type), get_args(choice.type)
        if _is_model(choice.type):
            for name, info in choice.type.model_fields.items():
                if item == name or item in _aliases(info):
                    found += choices_of(info.annotation)
        elif not isinstance(origin, type) or not arguments:
            continue
        elif issubclass(origin, Mapping):
            found += choices_of(arguments[-1])
        elif isinstance(item, int) and origin is tuple and Ellipsis not in arguments:
            found += choices_of(arguments[item]) if item < len(arguments) else []
        elif isinstance(item, int):
            found += choices_of(arguments[0])
    return found


def member_named(choices: list[Choice], element: str | int) -> list[Choice] | None:
    """The members of a union that pydantic calls `element` in an error's path, or None when it names none.

    Pydantic names a member by its class, its discriminator's value, its Tag, or a description such as
    `list[int]`, `literal['a','b']` or `function-before[read(), Field]`.
    """
    if not isinstance(element, str) or not choices:
        return None
    words = set(re.findall(r"\w+", element))
    named = [choice for choice in choices if element in _names(choice) or (len(words) > 1 and words & _names(choice))]
    return named or None


def key_words(choices: list[Choice]) -> list[str]:
    """Keys that the models among the choices know, as a file spells them."""
    words: dict[str, None] = {}
    for choice in choices:
        if _is_model(choice.type):
            by_name = choice.type.model_config.get("populate_by_name") or choice.type.model_config.get(
                "validate_by_name"
            )
            for name, info in choice.type.model_fields.items():
                aliases = _aliases(info)
                words |= dict.fromkeys([*aliases, name] if by_name or not aliases else aliases)
    return list(words)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _aliases(info: Any) -> list[str]:
    if isinstance(info.validation_alias, AliasChoices):
        return [alias for alias in info.validation_alias.choices if isinstance(alias, str)]
    return [info.validation_alias] if isinstance(info.validation_alias, str) else []


def _names(choice: Choice) -> set[str]:
    names = {choice.tag} if choice.tag else set()
    origin = get_origin(choice.type)
    if origin is Literal:
        return names | {"literal"}
    if _is_model(choice.type):
        names.add(choice.type.__name__)
        for info in choice.type.model_fields.values():
            if get_origin(info.annotation) is Literal:
                names |= {str(word) for word in get_args(info.annotation)}
        return names
    if isinstance(choice.type, type) and issubclass(choice.type, Enum):
        return names | {choice.type.__name__, "enum"}
    plain = origin or choice.type
    return names | {getattr(plain, "__name__", str(plain))}
