from __future__ import annotations

from tests.decoders.spec.lint.findings import of_rows


def test_each_registered_python_type_is_listed() -> None:
    assert of_rows('{name: a, type: "python:diehl_prios"}') == ["python_type"]
    group = '{group: null, encoded: "python:diehl_prios", bytes: 3, fields: [{name: own, type: u8}]}'
    assert of_rows(f"{group}, {{name: b, type: u8}}") == ["python_type"]
    assert of_rows("{name: a, type: u8}") == []
