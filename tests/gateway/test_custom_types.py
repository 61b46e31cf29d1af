"""Python types of installed packages, through their entry points."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import pytest

from decoders import custom
from gateway.custom_types import GROUP, load_custom_types


def _entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, GROUP)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    before = dict(custom._functions), dict(custom._unavailable)
    load_custom_types.cache_clear()
    yield
    custom._functions.clear()
    custom._unavailable.clear()
    custom._functions.update(before[0])
    custom._unavailable.update(before[1])
    load_custom_types.cache_clear()


def test_functions_of_packages_become_known(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        _entry("test_hex", "binascii:hexlify"),
        _entry("test_lost", "no_such_package:function"),
        _entry("test_text", "string:digits"),
        _entry("Bad Name", "binascii:hexlify"),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: entries if group == GROUP else [])
    assert load_custom_types() == ("test_hex",)
    assert "test_hex" in custom.names()
    assert "ModuleNotFoundError" in custom.why_unavailable("test_lost")
    assert "is no function" in custom.why_unavailable("test_text")
    assert "is no name" in custom.why_unavailable("Bad Name")


def test_packages_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        asked.append(group)
        return []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    load_custom_types()
    load_custom_types()
    assert asked == [GROUP]
