"""Every example of the language reference is a spec that compiles, and reads the frames below it as it says.

    ```yaml                     a spec; without `product:` one is put in front; it may extend one that stands above
    ```frames                   lines: `frame -> what comes out`
    01 0A -> {a: 10}                            values that must be there (`null`: must not), as YAML
    "*HQ,1#" -> {id: "1"}                       a text frame in quotes, or a document
    01 0A [port 2; variant fine] -> {a: 10}     with port, variant, zone, or what a login said: `[divisor 4]`
    01 -> error truncated
    01 0A -> [{a: 10}, {a: 11}]                 metrics of the records
    01 0A -> flags {a: out_of_range}            what is wrong with its values
    01 0A => 06 01, 06 02                       replies
    set {interval: 60} => 07 00 3C              a message that is built from values
    ```golden                   a golden file for the last spec with a `product:` above it

Fences of other kinds (`yaml fragment`, `sh`, none) are not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from decoders.catalog import LoadedProduct, build_product
from decoders.errors import DecodeError
from decoders.golden import GoldenCase, parse_golden, run_case, same
from decoders.golden_builds import run_build
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.prove import prove
from decoders.spec.extends import Shelf, SpecText
from decoders.spec.source import load
from decoders.types import SessionContext
from tests.decoders.specs import golden

README = Path(__file__).parents[3] / "product_specs" / "README.md"
_BLOCKS = re.compile(r"^```yaml\n(?P<spec>.*?)^```\n(?:\s*^```frames\n(?P<frames>.*?)^```)?", re.DOTALL | re.MULTILINE)
_GOLDEN = re.compile(r"^```golden\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_PRODUCT = re.compile(r"^product: *(\S+)", re.MULTILINE)
_LINE = re.compile(
    r'(?P<frame>"(?:[^"\\]|\\.)*"|[0-9A-Fa-f ]+|(?P<built>[a-z_]+) (?P<values>\{.*\}))\s*'
    r"(?:\[(?P<given>[^\]]*)\])?\s*(?P<how>->|=>) (?P<what>.*)"
)
_ARRIVAL_MS = 1_764_000_000_000  # 2025-11-24T16:00:00Z


def _number_of(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def examples() -> list[Any]:
    text = README.read_text("utf-8")
    return [
        pytest.param(found.start(), found["spec"], found["frames"] or "", id=f"line {_number_of(text, found.start())}")
        for found in _BLOCKS.finditer(text)
    ]


def golden_files() -> list[Any]:
    text = README.read_text("utf-8")
    return [
        pytest.param(found.start(), found["text"], id=f"line {_number_of(text, found.start())}")
        for found in _GOLDEN.finditer(text)
    ]


def specs_before(place: int) -> list[SpecText]:
    """The specs with an id that stand above this place, each product once: as it is said last."""
    found: dict[str, SpecText] = {}
    for block in _BLOCKS.finditer(README.read_text("utf-8")):
        named = _PRODUCT.search(block["spec"])
        if named is not None and block.start() < place:
            found.pop(named[1], None)
            found[named[1]] = SpecText(named[1], f"{named[1]}/spec.yaml", block["spec"])
    return list(found.values())


def loaded_at(place: int, spec: str) -> LoadedProduct:
    text = spec if _PRODUCT.search(spec) else f"product: example\n{spec}"
    return build_product("example", text, "README.md", {}, shelf=Shelf([specs_before(place)]))


def wire_of(frame: str) -> bytes:
    if frame.startswith('"'):
        text: str = yaml.safe_load(frame)
        return text.encode()
    return bytes.fromhex(frame)


@pytest.mark.parametrize(("place", "spec", "frames"), examples())
def test_an_example_does_what_it_says(place: int, spec: str, frames: str) -> None:
    lines = [line for line in frames.splitlines() if line.strip()]
    found = [_LINE.fullmatch(line) for line in lines]
    assert None not in found, f"no frame line: {lines[found.index(None)]}"
    product = loaded_at(place, spec).product
    matches = [match for match in found if match is not None]
    for fused in (False, True):
        if fused:
            frames_of = {(match["frame"], match["given"]): match for match in matches if not match["built"]}.values()
            for form in ("", *product.variants):
                cases = [_case(match) for match in frames_of if _context(match).variant == form]
                _prove(product.variants[form] if form else product, cases)
        for line, match in zip(lines, matches, strict=True):
            _check(product, line, match)


@pytest.mark.parametrize(("place", "text"), golden_files())
def test_a_golden_file_passes(place: int, text: str) -> None:
    spec = specs_before(place)[-1]
    product = build_product(spec.product, spec.text, spec.source, {"golden.yaml": text}).product
    file = parse_golden(load(text, "golden.yaml"))
    assert file.cases
    wrong = {case.name: run_case(product, file, case).differences for case in file.cases}
    wrong |= {build.name: run_build(product, build) for build in file.builds}
    assert not any(wrong.values()), wrong


def _context(match: re.Match[str]) -> SessionContext:
    context = SessionContext(device_id="1234567890", received_ms=_ARRIVAL_MS)
    for word in (match["given"] or "").split(";"):
        key, _, value = word.strip().partition(" ")
        if key == "port":
            context.port = int(value)
        elif key == "variant":
            context.variant = value
        elif key == "columns":
            context.columns = tuple(value.split(","))
        elif key == "zone_s":
            context.zone_s = int(value)
        elif key:
            context.values[key] = yaml.safe_load(value)
    return context


def _case(match: re.Match[str]) -> GoldenCase:
    context = _context(match)
    return golden(
        wire_of(match["frame"]).hex(), port=context.port, session={"zone_s": context.zone_s, **context.values}
    )


def _prove(product: CompiledProduct, cases: list[GoldenCase]) -> None:
    report = prove(product, cases)
    wrong = [proof.disagreement for proof in report.kinds if proof.differing and proof.frames]
    assert not wrong, wrong


def _check(product: CompiledProduct, line: str, match: re.Match[str]) -> None:
    context = _context(match)
    what = match["what"].strip()
    if match["built"]:
        _check_built(product.variants.get(context.variant, product), line, match)
        return
    decoded, error = _decode(product, match["frame"], context)
    if decoded is None or what.startswith("error"):
        assert what == f"error {error}", f"{line}: {error or decoded}"
        return
    product.remember(decoded, context)
    if match["how"] == "=>":
        replies = product.replies(decoded.message.name, decoded.values, context, context.received_ms)
        assert [reply.hex() for reply in replies] == [wire_of(part.strip()).hex() for part in _parts(what)], line
        return
    if what.startswith("flags"):
        flags = {violation.field: violation.code.value for violation in decoded.violations or ()}
        assert flags == yaml.safe_load(what.removeprefix("flags")), line
        return
    expected = yaml.safe_load(what)
    if isinstance(expected, list):
        parts = [part.metrics for part in product.parts(decoded)] if decoded.message.record != "none" else []
        assert len(parts) == len(expected), f"{line}: {parts}"
        assert all(same(one, part) for one, part in zip(expected, parts, strict=True)), f"{line}: {parts}"
        return
    there = {name: value for name, value in expected.items() if value is not None}
    assert same(there, decoded.values), f"{line}: {decoded.values}"
    missing = [name for name, value in expected.items() if value is None and name in decoded.values]
    assert not missing, f"{line}: {missing} should not be there"


def _parts(text: str) -> list[str]:
    """Replies, which may be texts with commas in them."""
    return re.findall(r'"(?:[^"\\]|\\.)*"|[^",\s][^",]*', text)


def _check_built(product: CompiledProduct, line: str, match: re.Match[str]) -> None:
    encoder = next(encoder for (_, name), encoder in product.encoders.items() if name == match["built"])
    assert encoder.encode(yaml.safe_load(match["values"]), fill=True).hex() == wire_of(match["what"]).hex(), line


def _decode(product: CompiledProduct, frame: str, context: SessionContext) -> tuple[Decoded | None, str]:
    """What was read, or the code of the error."""
    try:
        return product.read(wire_of(frame), context, text=frame.startswith('"')), ""
    except DecodeError as error:
        return None, error.code.value
