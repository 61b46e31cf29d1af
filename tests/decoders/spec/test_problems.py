"""Pydantic's errors as problems: file:line:column, what was there, what was expected, the nearest word."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from decoders.errors import SpecError
from decoders.spec.problems import describe, nearest
from decoders.spec.source import load, problems_from, validate
from tests.decoders.specs import product


class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Plain(Strict):
    name: str
    type: Literal["u8", "u16", "i16"]
    scale: float | None = None
    mode: Mode = Mode.FAST


class Use(Strict):
    use: str
    condition: str | None = Field(default=None, alias="if")


class Block(Strict):
    kind: Literal["block"]
    items: list[Plain | Use] = []


class Leaf(Strict):
    kind: Literal["leaf"]
    port: int = Field(ge=0, le=65535)


class Message(Strict):
    fields: list[Plain | Use] = []
    record: int | Literal["telemetry", "none"] = "none"
    part: Annotated[Block | Leaf, Field(discriminator="kind")] | None = None
    key: SecretStr | None = None


class Product(Strict):
    product: str
    messages: dict[str, Message] = {}
    tags: dict[int, Plain] = {}
    zone: int = 0
    note: str = ""

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: int) -> int:
        if value > 14:
            raise ValueError("a zone is at most 14 hours")
        return value

    @field_validator("note")
    @classmethod
    def _note(cls, value: str) -> str:
        if value == "bad":
            raise PydanticCustomError("note", "that note is bad", {"hint": "write `good`"})
        return value


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        validate(Product, load(text, "s.yaml"))
    return [str(problem) for problem in caught.value.problems]


MISTAKES: list[tuple[str, list[str]]] = [
    ("zone: 1\n", ["s.yaml:1:1: product: the key `product` is required and missing"]),
    ("product: p\nzon: 1\n", ["s.yaml:2:1: zon: unknown key `zon` (did you mean `zone`?)"]),
    (
        "product: p\nwholly: 1\n",
        ["s.yaml:2:1: wholly: unknown key `wholly` (known here: product, messages, tags, zone, note)"],
    ),
    ("product: 12\n", ["s.yaml:1:10: product: expected text, got the number 12 (put it in quotes)"]),
    ("product: p\nzone: x\n", ["s.yaml:2:7: zone: expected a whole number, got the text 'x'"]),
    ("product: p\nzone: 1.5\n", ["s.yaml:2:7: zone: expected a whole number, got the number 1.5"]),
    ("product: p\nzone:\n", ["s.yaml:2:6: zone: expected a whole number, got nothing"]),
    ("product: p\nzone: 15\n", ["s.yaml:2:7: zone: a zone is at most 14 hours"]),
    ("product: p\nnote: bad\n", ["s.yaml:2:7: note: that note is bad (write `good`)"]),
    ("product: p\nmessages: [1]\n", ["s.yaml:2:11: messages: expected a mapping, got a list"]),
    ("- 1\n", ["s.yaml:1:1: expected a mapping, got a list"]),
    ("", ["s.yaml:1:1: expected a mapping, got nothing"]),
    (
        "product: p\nmessages:\n  status:\n    fields:\n      - {name: a, type: u8}\n      - {name: b, type: i61}\n",
        ["s.yaml:6:25: messages.status.fields[1].type: expected 'u8', 'u16' or 'i16', got the text 'i61' "
         "(did you mean `i16`?)"],
    ),
    (
        "product: p\nmessages:\n  status:\n    fields: [{name: a, typ: u8}]\n",
        ["s.yaml:4:24: messages.status.fields[0].typ: unknown key `typ` (did you mean `type`?)"],
    ),
    (
        "product: p\nmessages: {status: {fields: [{name: a}]}}\n",
        ["s.yaml:2:30: messages.status.fields[0].type: the key `type` is required and missing"],
    ),
    (
        "product: p\nmessages: {status: {fields: [{use: a, iff: x}]}}\n",
        ["s.yaml:2:39: messages.status.fields[0].iff: unknown key `iff` (did you mean `if`?)"],
    ),
    (
        "product: p\nmessages: {status: {fields: [7]}}\n",
        ["s.yaml:2:30: messages.status.fields[0]: expected a mapping, got the number 7"],
    ),
    (
        "product: p\nmessages: {status: {fields: [{name: a, type: u8, mode: fats}]}}\n",
        ["s.yaml:2:56: messages.status.fields[0].mode: expected 'fast' or 'slow', got the text 'fats' "
         "(did you mean `fast`?)"],
    ),
    (
        "product: p\nmessages: {status: {record: telemetri}}\n",
        ["s.yaml:2:29: messages.status.record: expected a whole number or 'telemetry' or 'none', got the text "
         "'telemetri' (did you mean `telemetry`?)"],
    ),
    (
        "product: p\nmessages: {status: {part: {kind: leaff, port: 1}}}\n",
        ["s.yaml:2:34: messages.status.part.kind: expected 'block' or 'leaf', got the text 'leaff' "
         "(did you mean `leaf`?)"],
    ),
    (
        "product: p\nmessages: {status: {part: {port: 1}}}\n",
        ["s.yaml:2:27: messages.status.part.kind: the key `kind` is required and missing"],
    ),
    (
        "product: p\nmessages: {status: {part: {kind: leaf, port: 70000}}}\n",
        ["s.yaml:2:46: messages.status.part.port: expected a number of at most 65535, got the number 70000"],
    ),
    (
        "product: p\nmessages: {status: {part: {kind: block, items: [{name: a, type: u8, scal: 1}]}}}\n",
        ["s.yaml:2:69: messages.status.part.items[0].scal: unknown key `scal` (did you mean `scale`?)"],
    ),
    (
        "product: p\ntags:\n  0x0175: {name: a, type: u9}\n",
        ["s.yaml:3:27: tags.0x0175.type: expected 'u8', 'u16' or 'i16', got the text 'u9' (did you mean `u8`?)"],
    ),
    (
        "product: p\ntags:\n  abc: {name: a, type: u8}\n",
        ["s.yaml:3:3: tags.abc: expected a whole number, got the text 'abc'"],
    ),
    (
        "product: p\nmessages: {s: {key: [hidden]}}\n",
        ["s.yaml:2:21: messages.s.key: expected text, got something else (not shown: a secret)"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_mistakes(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_every_problem_is_reported_in_the_order_of_the_file() -> None:
    text = "messages:\n  a: {fields: 1}\n  b: {record: []}\nzone: x\n"
    assert [line.split(": ")[0] for line in problems(text)] == [
        "s.yaml:1:1",
        "s.yaml:2:15",
        "s.yaml:3:15",
        "s.yaml:4:7",
    ]


def test_without_a_model_places_still_hold() -> None:
    document = load("product: p\nzon: 1\n", "s.yaml")
    with pytest.raises(ValidationError) as caught:
        Product.model_validate(document.data)
    assert [str(problem) for problem in problems_from(caught.value, document)] == ["s.yaml:2:1: zon: unknown key `zon`"]


def test_a_sound_document_becomes_the_model() -> None:
    product = validate(Product, load("product: p\nmessages: {a: {fields: [{use: x, if: y}]}}\n", "s.yaml"))
    assert product.messages["a"].fields == [Use.model_validate({"use": "x", "if": "y"})]


def test_a_key_that_is_no_text_is_refused() -> None:
    assert problems("product: p\n5: x\n")[0].startswith("s.yaml:2:1: 5: unknown key `5`")


@pytest.mark.parametrize(
    ("word", "words", "found"),
    [("tempc", ["tempC", "rpm"], "tempC"), ("max-bytes", ["max_bytes"], "max_bytes"), ("u9", ["u8", "u16"], "u8")],
)
def test_nearest(word: str, words: list[str], found: str) -> None:
    assert nearest(word, words) == found
    assert nearest("entirely", words) == ""


def test_describe_is_short() -> None:
    assert len(describe("x" * 1000)) < 60
    assert len(describe(10**90)) < 60
    assert [describe(value) for value in (None, True, [], {}, [1], {1: 1})] == [
        "nothing", "true", "an empty list", "an empty mapping", "a list", "a mapping",
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["negate: a", "bits: {x: 0}"])
def test_keys_of_rows_that_read_bytes_are_no_keys_of_formula_rows(key: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(f"fields: [{{name: a, type: u8}}, {{name: b, formula: a, {key}}}]")
    assert "rows that read bytes" in str(caught.value)
