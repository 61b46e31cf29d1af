"""Sources laid over each other keep the place of every value."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.spec.source import load
from gateway.settings.layers import Layers, dotted, leaves


def layers_of(text: str) -> Layers:
    layers = Layers()
    layers.put_document(load(text, "f.yaml"))
    return layers


def test_places_follow_the_source_of_each_value() -> None:
    layers = layers_of("a:\n  b: 1\n  c: {d: [1, 2]}\n")
    layers.put(["a", "b"], 5, "env A__B")
    layers.put(["a", "c", "d", "1"], {"x": 1}, "--set a.c.d.1")
    layers.put(["a", "new", "deep"], 1, "env A__NEW__DEEP")
    assert layers.data == {"a": {"b": 5, "c": {"d": [1, {"x": 1}]}, "new": {"deep": 1}}}
    assert layers.where(["a", "b"]) == ("env A__B", 0, 0)
    assert layers.where(["a", "c", "d", 0]) == ("f.yaml", 3, 11)
    assert layers.where(["a", "c", "d", 1, "x"]) == ("--set a.c.d.1", 0, 0)
    assert layers.where(["a", "c"], key=True) == ("f.yaml", 3, 3)
    assert layers.where(["a", "missing"], key=True) == ("f.yaml", 2, 3)
    assert layers.origin(("a", "new", "deep")) == "env A__NEW__DEEP"
    assert layers.origin(("a", "c", "d", 1)) == "--set"
    assert layers.origin(("a", "c", "d", 0)) == "f.yaml:3"
    assert layers.origin(("elsewhere",)) == "default"
    assert layers.path_text(["a", "c", "d", 1]) == "a.c.d[1]"


def test_replacing_a_mapping_forgets_what_stood_in_it() -> None:
    layers = layers_of("a: {b: 1}\n")
    layers.put(["a"], {"c": 2}, "env A")
    assert layers.origin(("a", "b")) == "default"
    assert layers.origin(("a", "c")) == "env A"
    layers.remove(("a", "c"))
    assert layers.data == {"a": {}}
    assert not layers.is_set(("a", "c"))


def test_the_document_itself_stays_as_it_is() -> None:
    document = load("a: {b: [1]}\n", "f.yaml")
    layers = Layers()
    layers.put_document(document)
    layers.put(["a", "b", "0"], 2, "--set a.b.0")
    assert document.data == {"a": {"b": [1]}}


def test_lists_are_made_where_their_first_item_is_named() -> None:
    layers = Layers()
    layers.put(["a", "0", "b"], 1, "env A")
    layers.put(["a", "1", "b"], 2, "env A")
    assert layers.data == {"a": [{"b": 1}, {"b": 2}]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["a", "3"], "has 1 items"),
        (["a", "x"], "is a list"),
        (["a", "-1"], "is a list"),
        (["a", "²"], "is a list"),
        (["b", "x"], "holds the number 1"),
    ],
)
def test_places_that_do_not_exist(path: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layers_of("a: [1]\nb: 1\n").put(path, 0, "--set")


def test_expanded_values_are_hidden_and_keep_their_place() -> None:
    layers = layers_of("a: {b: '${x}', c: plain}\n")
    assert layers.expand(lambda path, text: f"<{text}>") == []
    assert layers.data == {"a": {"b": "<${x}>", "c": "plain"}}
    assert layers.hidden(("a", "b"))
    assert not layers.hidden(("a", "c"))
    assert layers.where(("a", "b")) == ("f.yaml", 1, 8)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, [("", {})]),
        ({"a": {"b": 1, "c": []}, "d": [None, {"e": 2}]}, [("a.b", 1), ("a.c", []), ("d.0", None), ("d.1.e", 2)]),
    ],
)
def test_leaves(data: Any, found: list[tuple[str, Any]]) -> None:
    assert [(dotted(path), value) for path, value in leaves(data)] == found
