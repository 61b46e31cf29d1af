"""Which keys could stand at a place of a model."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypeAliasType

from decoders.spec.model_walk import Choice, choices_of, key_words, member_named, step


class Color(Enum):
    RED = "red"


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    size: int = Field(default=0, alias="sz")
    other: int = Field(default=0, validation_alias=AliasChoices("oth", "other_name"))


class Both(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    condition: str = Field(default="", alias="if")


class Leaves(RootModel[dict[str, list[Leaf]]]):
    pass


Alias = TypeAliasType("Alias", list[Leaf] | None)


class Tree(BaseModel):
    leaves: Leaves | None = None
    pair: tuple[int, Leaf] = (0, Leaf())
    many: tuple[Leaf, ...] = ()
    items: Sequence[Leaf | Both] = ()
    alias: Alias = None
    tagged: Annotated[Annotated[Leaf, Tag("a")] | Annotated[Both, Tag("b")], Discriminator(lambda _: "b")] | None = None
    color: Color | int = 0


def types_at(*path: str | int) -> list[Any]:
    choices = choices_of(Tree)
    for item in path:
        choices = step(choices, item)
    return [choice.type for choice in choices]


@pytest.mark.parametrize(
    ("path", "types"),
    [
        (("leaves", "any"), [list[Leaf]]),
        (("leaves", "any", 3), [Leaf]),
        (("leaves", "any", 3, "sz"), [int]),
        (("leaves", "any", 3, "other_name"), [int]),
        (("pair", 1), [Leaf]),
        (("pair", 7), []),
        (("many", 7), [Leaf]),
        (("items", 0), [Leaf, Both]),
        (("alias", 0), [Leaf]),
        (("color",), [Color, int]),
        (("nothing", "here"), []),
    ],
)
def test_step(path: tuple[str | int, ...], types: list[Any]) -> None:
    assert types_at(*path) == types


def test_key_words_are_spelt_as_in_the_file() -> None:
    assert key_words([Choice(Leaf)]) == ["kind", "sz", "oth", "other_name"]
    assert key_words([Choice(Both), Choice(int)]) == ["if", "condition"]


@pytest.mark.parametrize(
    ("path", "name", "types"),
    [
        (("items", 0), "Leaf", [Leaf]),
        (("items", 0), "leaf", [Leaf]),
        (("items", 0), "function-before[read(), Both]", [Both]),
        (("tagged",), "b", [Both]),
        (("color",), "int", [int]),
        (("color",), "enum[Color]", [Color]),
        (("leaves", "x"), "list[Leaf]", [list[Leaf]]),
        (("items", 0), "sz", None),
        (("items", 0), 0, None),
    ],
)
def test_members_of_unions(path: tuple[str | int, ...], name: str | int, types: list[Any] | None) -> None:
    choices = choices_of(Tree)
    for item in path:
        choices = step(choices, item)
    found = member_named(choices, name)
    assert (None if found is None else [choice.type for choice in found]) == types


def test_pydantic_names_members_as_expected() -> None:
    """The walk reads pydantic's names of union members: a change there should be seen here first."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int] | Leaf | Literal["x"] | Color).validate_python(3.5)
    assert [error["loc"][0] for error in caught.value.errors()] == ["list[int]", "Leaf", "literal['x']", "enum[Color]"]
