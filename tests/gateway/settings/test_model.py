"""The model and its JSON Schema: every key is described, and every default is a value that the model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, ValidationError

from gateway.settings import Settings, TcpListener, settings_schema


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"Settings": schema, **schema["$defs"]}.items():
        for key, value in section["properties"].items():
            yield f"{name}.{key}", value


def test_every_key_is_described() -> None:
    described = dict(properties(settings_schema()))
    assert {"Settings.tcp", "TcpListener.frames_in_flight", "TlsSettings.client_auth"} <= described.keys()
    assert not [name for name, value in described.items() if not value.get("description")]
    assert orjson.dumps(settings_schema())


def test_unknown_keys_are_refused_by_editors_too() -> None:
    schema = settings_schema()
    assert schema["additionalProperties"] is False
    assert all(section["additionalProperties"] is False for section in schema["$defs"].values())


def test_defaults_pass_their_own_checks() -> None:
    """Pydantic does not check defaults by itself."""
    Settings.model_validate(Settings().model_dump())
    listener = TcpListener(name="a")
    assert TcpListener.model_validate(listener.model_dump()) == listener


def test_settings_cannot_be_changed() -> None:
    def change(model: Any) -> None:
        model.port = 1

    with pytest.raises(ValidationError):
        change(TcpListener(name="a"))
    assert issubclass(Settings, BaseModel)


@pytest.mark.parametrize(
    ("value", "size"), [(5, 5), ("4GiB", 4 << 30), ("64MiB", 64 << 20), ("1MB", 1_000_000), ("10 KiB", 10_240)]
)
def test_sizes(value: Any, size: int) -> None:
    assert TcpListener.model_validate({"name": "a", "max_frame_bytes": value}).max_frame_bytes == size


@pytest.mark.parametrize("value", [0, -1, "0", "x", True, None, "1XB", 1.5])
def test_no_sizes(value: Any) -> None:
    with pytest.raises(ValidationError):
        TcpListener.model_validate({"name": "a", "max_frame_bytes": value})


@pytest.mark.parametrize("name", ["a", "tcp-1", "a_b", "a" * 32])
def test_names(name: str) -> None:
    assert TcpListener(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a" * 33, "ä"])
def test_no_names(name: str) -> None:
    with pytest.raises(ValidationError):
        TcpListener(name=name)


@pytest.mark.parametrize("port", ["5023", True, -1, 65_536, 1.5])
def test_no_ports(port: Any) -> None:
    """Strictly: a text or a flag is a mistake."""
    with pytest.raises(ValidationError):
        TcpListener.model_validate({"name": "a", "port": port})
