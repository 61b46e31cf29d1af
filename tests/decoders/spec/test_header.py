from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from decoders.spec.header import header_text
from tests.decoders.sensor import SPEC, STATUS, compiled
from tests.decoders.spec.shipped import shipped

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
COMPILER = shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")

EVERYTHING = """\
product: c-test.1
endian: little
enums: {mode: {0: off, 1: "low power", 2..9: fault, _: null}}
flags: {alarms: {0: sos, "!3": mains, 33: late}}
messages:
  fixed:
    when: {port: [1, 2], length: 5..60}
    fields:
      - {name: default, type: u8, enum: mode}
      - {name: a24, type: u24}
      - {name: i64, type: i64be, scale: 0.5, unit: V}
      - {name: f, type: f32}
      - {name: sm, type: sm16}
      - {name: id, type: bcd, bytes: 3}
      - {skip: 2}
      - {name: alarms, type: u48, flags: alarms}
      - {name: bits, type: u16, bits: {low: {at: 0-3, enum: {1: "on", 2: "off*/"}}, high: {at: 15, invert: true}}}
      - {group: box, bytes: 4, fields: [{name: x, type: i16}], rest: skip}
      - {list: cells, count: 3, fields: [{name: mv, type: u16be}, {name: t, type: i8}]}
      - {name: total, formula: sm * 2}
      - {skip: 1}
  tail: {when: {port: 3}, fields: [{name: a, type: u8}, {name: rest, type: hex, bytes: rest}]}
  maybe: {when: {port: 4}, fields: [{name: a, type: u8}, {name: b, type: u8, if: a}]}
  choice: {when: {port: 5}, fields: [{name: a, type: u8}, {switch: a, cases: {1: [{name: c, type: u8, enum: {3: x}}]}}]}
  tags: {when: {port: 6}, items: {key: u8, length: u8, tags: {1: {name: d, type: u8}}}}
  list: {when: {port: 7}, fields: [{list: l, fields: [{name: e, type: u8}]}]}
  nothing: {when: {port: 8}}
"""


def test_a_header_says_what_the_spec_says() -> None:
    text = header_text(compiled(SPEC))
    assert "#define SENSOR_STATUS_TYPE 0x02u" in text
    assert "#define SENSOR_STATUS_FLAGS_MODE_SHIFT 1u\n#define SENSOR_STATUS_FLAGS_MODE_MASK 0x6u" in text
    assert "    int16_t temperature_be; /* 3: °C; * 0.1; -40 to 125 */" in text
    assert "} SENSOR_PACKED sensor_status_t;" in text
    assert text.startswith("/* Temperature sensor\n * product sensor, version 1\n")
    assert text == header_text(compiled(SPEC))


def test_what_is_not_fixed_says_why() -> None:
    text = header_text(compiled(EVERYTHING))
    assert re.findall(r"/\* (\w+): (no .*?) \*/", text) == [
        ("tail", "no struct: `rest` has no fixed size"),
        ("maybe", "no struct: `b` is there only if a"),
        ("choice", "no struct: a switch on `a`"),
        ("tags", "no struct: a tag list"),
        ("list", "no struct: `l` is a list of changing size"),
        ("nothing", "no bytes"),
    ]
    assert "#define C_TEST_1_CHOICE_C_X 3u" in text  # names are worth having all the same


def run_c(tmp_path: Path, header: str, source: str) -> str:
    """Compiles strictly and runs; returns what the program prints."""
    assert COMPILER is not None
    (tmp_path / "product.h").write_text(header, encoding="utf-8")
    (tmp_path / "main.c").write_text(source, encoding="utf-8")
    command = [COMPILER, *STRICT, "-o", str(tmp_path / "main"), str(tmp_path / "main.c")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=True).stdout


@needs_compiler
def test_the_compiler_agrees_on_every_size_and_offset(tmp_path: Path) -> None:
    header = header_text(compiled(EVERYTHING))
    members = re.findall(r"^    (?:u?int\d+_t|\} C_TEST_1_PACKED) (\w+)(?:\[\d+\])?; /\* (\d+)", header, re.MULTILINE)
    assert [name for name, _ in members] == [
        "default_", "a24_le", "i64_be", "f_le", "sm_le", "id", "reserved_1", "alarms_le", "bits_le", "box", "cells",
        "reserved_2",
    ]  # fmt: skip
    lines = "".join(f'    printf("%u ", (unsigned)offsetof(c_test_1_fixed_t, {name}));\n' for name, _ in members)
    source = f"""#include <stddef.h>
#include <stdio.h>
#include "product.h"

typedef char size_fits[sizeof(c_test_1_fixed_t) == C_TEST_1_FIXED_SIZE ? 1 : -1];

int main(void) {{
    size_fits unused;
    (void)sizeof unused;
{lines}    printf("%u", (unsigned)C_TEST_1_FIXED_SIZE);
    return 0;
}}
"""
    printed = [int(word) for word in run_c(tmp_path, header, source).split()]
    body = compiled(EVERYTHING).kinds[0].layout.messages["fixed"].body
    assert printed[:-1] == [int(offset) for _, offset in members]
    assert printed[:5] == [0, 1, 4, 12, 16]
    assert printed[-1] == 45
    assert len(body) == 13


@needs_compiler
def test_a_frame_of_the_gateway_is_read_by_the_struct(tmp_path: Path) -> None:
    source = f"""#include <stdio.h>
#include <string.h>
#include "product.h"

int main(void) {{
    static const uint8_t frame[] = {{{", ".join(map(str, STATUS))}}};
    sensor_status_t status;
    const uint8_t *raw = (const uint8_t *)&status;
    memcpy(&status, frame, sizeof status);
    printf("%u %d %u", (unsigned)(sizeof status == sizeof frame), raw[3] * 256 + raw[4],
           (unsigned)((status.flags & SENSOR_STATUS_FLAGS_MODE_MASK) >> SENSOR_STATUS_FLAGS_MODE_SHIFT));
    return 0;
}}
"""
    assert run_c(tmp_path, header_text(compiled(SPEC)), source) == "1 263 2"


@needs_compiler
def test_the_headers_of_all_products_compile(tmp_path: Path) -> None:
    names = []
    for loaded in shipped().values():
        name = f"{loaded.product.id}.h"
        (tmp_path / name).write_text(header_text(loaded.product), encoding="utf-8")
        names.append(name)
    includes = "".join(f'#include "{name}"\n' for name in names)  # all in one: no name is there twice
    run_c(tmp_path, "", f"{includes}int main(void) {{ return 0; }}\n")
