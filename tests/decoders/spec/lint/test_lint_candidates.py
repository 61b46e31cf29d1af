from __future__ import annotations

import pytest

from decoders.catalog import build_product
from decoders.spec.lint import lint_together

BODY = "messages: {m: {fields: [{name: a, type: u8, identity: device}], rest: skip}}\n"


def together(one: str, other: str) -> list[str]:
    products = [
        build_product(name, f"product: {name}\n{frame}{BODY}", f"{name}/spec.yaml", {})
        for name, frame in (("one", one), ("other", other))
    ]
    return [found.problem.message for found in lint_together(products)]


ALIKE = ["frames `frame` cannot be told from those of `one` (`frame`)"]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ('frame: {start: "7878", size: 9}\n', 'frame: {start: "7878", size: 9}\n', ALIKE),
        ('frame: {start: "7878", size: 9}\n', 'frame: {start: "7979", size: 9}\n', []),
        ('frame: {start: "7878", size: 9}\n', 'frame: {start: "78", size: 9}\n', ALIKE),
        ('frame: {start: "7878", size: 9}\n', 'frame: {start: "7878", size: 8}\n', []),
        ('frame: {until: "0A"}\n', 'frame: {until: "0D"}\n', []),
        ('frame: {until: "0A"}\n', 'frame: {until: "0A"}\n', ALIKE),
        ('frame: {until: "0A"}\n', 'frame: {start: "01", trailer: [{name: c, crc: xor8}], size: 9}\n', []),
        ('frame: {until: "0A"}\n', 'transports: [mqtt]\nframe: {until: "0A"}\n', []),
    ],
)
def test_two_products_on_one_listener(one: str, other: str, found: list[str]) -> None:
    assert together(one, other) == found


def test_the_later_product_is_named_with_its_place() -> None:
    frame = 'frame: {until: "0A"}\n'
    products = [build_product(name, f"product: {name}\n{frame}{BODY}", f"{name}/spec.yaml", {}) for name in "ab"]
    (found,) = lint_together(products)
    assert (found.severity, found.problem.code, found.problem.source, found.problem.line) == (
        "warning", "ambiguous_candidates", "b/spec.yaml", 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begins", "alike"), [("2A 00", False), ("2A ?? 00", False), ("2A 41", True), ("2B 41", False)]
)
def test_a_text_has_no_control_characters(begins: str, alike: bool) -> None:
    text = 'frame: {format: text, start: "*", until: "#"}\nfields: [{name: id, identity: device}]\n'
    texts = f'frame: {{begins: "{begins}"}}\n{BODY}', text
    products = [build_product(name, f"product: {name}\n{it}", name, {}) for name, it in zip("ab", texts, strict=True)]
    assert bool(lint_together(products)) is alike
