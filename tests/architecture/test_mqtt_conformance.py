"""docs/mqtt_conformance.md: every normative number of both standards is in its table, with a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "docs" / "mqtt_conformance.md"

# Appendix B of each standard: section -> its last number. They begin with 1, but for 2.2.1 of 5.0, which has no 1.
NUMBERS = {
    "3.1.1": {
        **{"1.5.3": 3, "2.2.2": 2, "2.3.1": 7, "3.1.0": 2, "3.1.2": 24, "3.1.3": 11, "3.1.4": 5, "3.2.0": 1},
        **{"3.2.2": 6, "3.3.1": 12, "3.3.2": 3, "3.3.4": 1, "3.3.5": 2, "3.6.1": 1, "3.8.1": 1, "3.8.3": 4},
        **{"3.8.4": 6, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.12.4": 1, "3.14.1": 1, "3.14.4": 3},
        **{"4.1.0": 2, "4.3.1": 1, "4.3.2": 2, "4.3.3": 2, "4.4.0": 1, "4.5.0": 2, "4.6.0": 6, "4.7.1": 3},
        **{"4.7.2": 1, "4.7.3": 4, "4.8.0": 2, "6.0.0": 4, "7.0.0": 2, "7.1.1": 1, "7.1.2": 1},
    },
    "5.0": {
        **{"1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 6, "2.2.2": 1, "3.1.0": 2, "3.1.2": 30},
        **{"3.1.3": 12, "3.1.4": 6, "3.2.0": 2, "3.2.2": 22, "3.3.1": 13, "3.3.2": 20, "3.3.4": 10, "3.4.2": 3},
        **{"3.5.2": 3, "3.6.1": 1, "3.6.2": 3, "3.7.2": 3, "3.8.1": 1, "3.8.3": 5, "3.8.4": 8, "3.9.2": 2},
        **{"3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.11.2": 2, "3.11.3": 2, "3.12.4": 1, "3.14.0": 1},
        **{"3.14.1": 1, "3.14.2": 4, "3.14.4": 3, "3.15.1": 1, "3.15.2": 3, "4.1.0": 2, "4.2.0": 1, "4.3.1": 1},
        **{"4.3.2": 5, "4.3.3": 13, "4.4.0": 2, "4.5.0": 2, "4.6.0": 6, "4.7.0": 1, "4.7.1": 2, "4.7.2": 1},
        **{"4.7.3": 4, "4.8.2": 6, "4.9.0": 3, "4.12.0": 7, "4.12.1": 2, "4.13.1": 1, "4.13.2": 1, "6.0.0": 4},
    },
}
ABSENT = {"5.0": {"2.2.1-1"}, "3.1.1": set[str]()}

# What only clients must do. The server sees to some of the others too, and then a test stands in the table.
CLIENTS = {
    "3.1.1": ["2.3.1-2", "2.3.1-3", "3.1.2-23", "3.1.3-7", "3.14.4-1", "3.14.4-2", "4.5.0-2", "6.0.0-3", "7.1.2-1"],
    "5.0": [
        *("3.1.2-20", "3.1.2-21", "3.1.2-30", "3.2.2-4", "3.2.2-5", "3.2.2-11"),
        *("3.2.2-14", "3.2.2-15", "3.2.2-17", "3.2.2-18", "3.2.2-21", "3.3.2-10"),
        *("3.3.4-8", "4.5.0-2", "4.6.0-1", "4.12.0-3", "4.12.1-1", "6.0.0-3"),
    ],
}

ROW = re.compile(r"\| MQTT-(\S+) \| (.+) \| (.+) \|")
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)(?:\[(.+)\])?`")
IN_SOURCE = re.compile(r"(3\.1\.1: )?MQTT-(\d+\.\d+\.\d+)(-\d+(?:(?:, | to )-\d+)*)")
BOTH = pytest.mark.parametrize("standard", list(NUMBERS))


@cache
def rows(standard: str) -> list[tuple[str, str]]:
    """(number, what stands in the last column) of one table."""
    text = TABLES.read_text().split(f"## MQTT {standard}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| MQTT-")]
    found = [ROW.fullmatch(line) for line in lines]
    return [(match[1], match[3]) for match in found if match is not None]


@cache
def modules() -> dict[str, Path]:
    return {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}


@cache
def functions(module: str) -> frozenset[str]:
    tree = ast.parse(modules()[module].read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def known(standard: str) -> set[str]:
    sections = NUMBERS[standard].items()
    return {f"{section}-{number}" for section, last in sections for number in range(1, last + 1)} - ABSENT[standard]


@BOTH
def test_every_number_has_one_row(standard: str) -> None:
    numbers = [number for number, _ in rows(standard)]
    assert set(numbers) == known(standard)
    assert len(numbers) == len(set(numbers))


@BOTH
def test_every_number_that_concerns_a_server_has_a_test_or_says_why_not(standard: str) -> None:
    bad = []
    for number, shown in rows(standard):
        if number in CLIENTS[standard]:
            good = shown == "client only"
        else:
            good = NAMED.fullmatch(shown) is not None or re.fullmatch(r"not offered: .+", shown) is not None
        if not good:
            bad.append((number, shown))
    assert not bad


@BOTH
def test_every_test_in_the_table_exists(standard: str) -> None:
    missing = []
    for number, shown in rows(standard):
        if (named := NAMED.fullmatch(shown)) is None:
            continue
        module, name, case = named.groups()
        there = module in modules() and name in functions(module)
        if not there or (case or "").removeprefix("MQTT-") not in modules()[module].read_text():
            missing.append((number, shown))
    assert not missing


def test_every_number_in_the_source_is_one_of_its_standard() -> None:
    """Those of 3.1.1 have its name before them: numbers of the two mean different things."""
    wrong = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for named in IN_SOURCE.finditer(path.read_text()):
            standard = "3.1.1" if named[1] else "5.0"
            for number in re.findall(r"\d+", named[3]):
                if f"{named[2]}-{number}" not in known(standard):
                    wrong.append((path.relative_to(ROOT).as_posix(), named[0]))
    assert not wrong
