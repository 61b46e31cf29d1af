from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import typer
from argon2.low_level import Type, verify_secret

from decoders.errors import SpecError
from gateway.cli import main
from gateway.devices.directory import FileDirectory


class Stdin:
    def __init__(self, data: bytes, terminal: bool = False) -> None:
        self.buffer = io.BytesIO(data)
        self.isatty = lambda: terminal


def run(monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: str) -> int:
    monkeypatch.setattr("gateway.cli.devices.sys", SimpleNamespace(stdin=Stdin(data)))
    return main(["devices", "password", *arguments])


@pytest.mark.parametrize(
    ("data", "password"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" two words \n", b" two words "),
        ("비밀\n".encode(), "비밀".encode()),
        (b"x" * 1_024 + b"\n", b"x" * 1_024),
    ],
)
def test_the_hash_of_a_line_can_be_pasted_into_devices_file(
    data: bytes, password: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, data, "--stdin") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    (line,) = shown.out.splitlines()
    assert verify_secret(line.encode(), password, Type.ID)
    assert len(FileDirectory.from_text(f'- {{id: a, credential: "{line}"}}', "devices.yaml").costs) == 1
    with pytest.raises(SpecError):
        FileDirectory.from_text("- {id: a, credential: secret}", "devices.yaml")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"x" * 1_025, "longer than 1024 bytes"),
        (b"x" * 2_000, "longer than 1024 bytes"),
        (b"one\ntwo\n", "more than one line"),
        (b"one\n\n", "more than one line"),
    ],
)
def test_what_is_no_password_is_2(
    data: bytes, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, data, "--stdin") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err


def test_without_a_terminal_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, b"secret\n") == 2
    assert "--stdin" in capsys.readouterr().err


def test_on_a_terminal_it_is_asked_for_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, object] = {}

    def prompt(text: str, **more: object) -> str:
        asked.update(more, text=text)
        return "secret"

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr("gateway.cli.devices.sys", SimpleNamespace(stdin=Stdin(b"", terminal=True)))
    assert main(["devices", "password"]) == 0
    assert asked == {"text": "Password", "hide_input": True, "confirmation_prompt": True, "err": True}
    assert verify_secret(capsys.readouterr().out.strip().encode(), b"secret", Type.ID)
