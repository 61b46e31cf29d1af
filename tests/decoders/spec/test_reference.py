"""The language reference tells the truth: its worked example runs, and the words that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from decoders.checksum import checksum
from decoders.compile import compile_spec
from decoders.errors import DecodeCode
from decoders.formula import FUNCTIONS
from decoders.framing.framer import cut
from decoders.spec import model
from decoders.spec.reference import missing_tables, reference_tables, with_tables
from decoders.spec.schema import spec_schema
from decoders.spec.source import load, validate
from decoders.types import SessionContext, ViolationCode

TEXT = (Path(__file__).parents[3] / "product_specs" / "README.md").read_text("utf-8")


def framed(inner: str) -> bytes:
    counted = bytes.fromhex(inner)
    counted = bytes([len(counted) + 2]) + counted
    return b"\xa5" + counted + checksum("crc16_modbus").function(counted).to_bytes(2, "little")


def test_the_worked_example_reads_and_answers() -> None:
    found = re.findall(r"```yaml\n(product: my_thermo.*?)```", TEXT, re.DOTALL)
    document = load(found[0], "README.md")
    product = compile_spec(validate(model.SpecFile, document), document)

    decoded = product.decode(cut(product.framing, framed("02 00fa ffff 0007")), SessionContext())

    assert decoded.values == {"type": 2, "temperature": 25.0, "serial": 7}
    assert decoded.violations is None
    assert product.replies("status", decoded.values, SessionContext(), 0) == [framed("06 0007")]


def test_every_key_of_the_language_is_in_the_reference() -> None:
    words = set(re.findall(r"[a-z_][a-z_0-9]*", TEXT))
    models: list[type[model.Model]] = [
        model.BitField,
        model.ValueRow,
        model.FormulaRow,
        model.SkipRow,
        model.ListRow,
        model.ItemsSpec,
        model.FrameSpec,
        model.Reply,
        model.MessageSpec,
    ]
    keys = {field.alias or name for one in models for name, field in one.model_fields.items()}

    assert keys <= words


def test_every_function_and_error_code_is_in_the_reference() -> None:
    words = set(re.findall(r"[a-z_][a-z_0-9]*", TEXT))

    assert set(FUNCTIONS) <= words
    assert {code.value for code in DecodeCode} - {DecodeCode.WRONG_ANSWER.value} <= words


@pytest.mark.parametrize("name", reference_tables())
def test_the_generated_tables_are_those_of_the_code(name: str) -> None:
    """`make docs` renews them."""
    found = re.findall(rf"<!-- generated: {name} -->\n\n(.*?)\n\n<!-- end -->", TEXT, re.DOTALL)
    assert found == [reference_tables()[name]]


def test_renewing_changes_nothing_else() -> None:
    assert missing_tables(TEXT) == []
    assert missing_tables("<!-- generated: keys -->")[0] == "types"
    stale = "before\n<!-- generated: errors -->\nold\n<!-- end -->\n<!-- generated: me -->\nkept\n<!-- end -->\nend\n"
    renewed = with_tables(stale)
    assert renewed.startswith("before\n<!-- generated: errors -->\n\n| error | when |")
    assert renewed.endswith("<!-- end -->\n<!-- generated: me -->\nkept\n<!-- end -->\nend\n")
    assert with_tables(renewed) == renewed


def test_every_code_and_function_has_a_meaning() -> None:
    assert all(code.meaning for code in (*DecodeCode, *ViolationCode))
    lines = reference_tables()["functions"].splitlines()
    assert not [line for line in lines if "(...)` |" in line or line.endswith("|  |")]


def test_every_model_of_the_language_has_its_table_of_keys() -> None:
    keys = reference_tables()["keys"]
    schema = spec_schema()
    missing = [
        f"{name}.{key}"
        for name, said in schema["$defs"].items()
        for key in said["properties"]
        if f"| `{key}` |" not in keys
    ]
    assert missing == []
    assert keys.count("#### ") == len(schema["$defs"]) + 1
