"""Small specs for the tests of lint rules, and what lint says of them."""

from __future__ import annotations

from decoders.spec.lint import Finding, lint
from tests.decoders.sensor import loaded

HEAD = "product: sensor\ntitle: t\nsource: s\ntransports: [tcp, mqtt]\n"


def findings(spec: str, golden: str = "source: s\ncases: []\n", folder: str = "sensor") -> list[Finding]:
    """All findings but those about golden frames."""
    return [found for found in lint(loaded(spec, golden, folder)) if not found.problem.code.endswith("_frame")]


def codes(spec: str, golden: str = "source: s\ncases: []\n", folder: str = "sensor") -> list[tuple[str, int]]:
    """(code, line) of all findings but those about golden frames."""
    return [(found.problem.code, found.problem.line) for found in findings(spec, golden, folder)]


def of_rows(text: str, more: str = "") -> list[str]:
    """Codes for a message with these rows."""
    return [code for code, _ in codes(f"{HEAD}{more}messages: {{m: {{fields: [{text}]}}}}")]
