"""`${env:NAME}` and `${file:PATH}`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.references import is_reference, resolve


def test_what_they_stand_for(tmp_path: Path) -> None:
    file = tmp_path / "a secret"
    file.write_bytes(b"first\nsecond\r\n")
    assert resolve("${env:A}", {"A": "x"}) == "x"
    assert resolve("a ${env:A}-${env:B} z", {"A": "1", "B": ""}) == "a 1- z"
    assert resolve(f"${{file:{file}}}", {}) == "first\nsecond"
    assert resolve("no $ {reference} here", {}) == "no $ {reference} here"


def test_what_a_reference_brings_is_not_read_again() -> None:
    assert resolve("${env:A}", {"A": "${env:B}", "B": "x"}) == "${env:B}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${env:A}", "the environment variable A is not set"),
        ("${vault:x}", r"`\$\{vault:x\}` is no reference"),
        ("${A}", r"`\$\{A\}` is no reference"),
        ("${env:A", r"`\$\{env:A` is no reference"),
        ("${}", r"`\$\{\}` is no reference"),
        ("${env:}", r"`\$\{env:\}` is no reference"),
        ("${file:/no/such}", "cannot read the secret file /no/such: No such file or directory"),
        ("${file:/}", "cannot read the secret file /: Is a directory"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(text, {})


def test_files_that_are_no_secrets(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        resolve(f"${{file:{file}}}", {})
    file.write_bytes(b"x" * 65_537)
    with pytest.raises(ValueError, match="larger than 65536 bytes"):
        resolve(f"${{file:{file}}}", {})


def test_alone_or_in_text() -> None:
    assert is_reference("${env:A}")
    assert not is_reference("x${env:A}")
    assert not is_reference("${env:A}${env:B}")
