"""What the module says of itself: tables of its README, refusals, sections of the gateway. Needs no tool."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from gateway.settings.model import Settings
from tests.deploy.terraform.terraform_rig import MODULE

_README = MODULE / "README.md"
_DESCRIPTION = re.compile(r"^  description = (?:<<-EOT\n(?P<long>.*?)^  EOT$|\"(?P<short>[^\n]*)\"$)", re.S | re.M)


def _blocks(kind: str) -> Iterator[tuple[str, str]]:
    """Name and body of each block, in the order of files and lines."""
    for path in sorted(MODULE.glob("*.tf")):
        yield from re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}$', path.read_text(encoding="utf-8"), re.S | re.M)


def _described(body: str) -> str:
    found = _DESCRIPTION.search(body)
    assert found is not None, body
    text = " ".join(textwrap.dedent(found["long"]).split()) if found["long"] else found["short"]
    return str(text).replace('\\"', '"').replace("$${", "${").replace("|", "\\|")


def _type(body: str) -> str:
    found: list[str] = re.findall(r"^  type\s+= (.*)$", body, re.M)
    return {"map(object({": "map of objects", "object({": "object"}.get(found[0], found[0])


def _keys(body: str) -> str:
    """The keys of an object with their defaults; those of an object within it with its name before."""
    found = re.search(r"^  type\s+= (?:map\()?object\(\{\n(.*?)^  \}\)", body, re.S | re.M)
    parents: list[str] = []
    keys = []
    for line in found[1].splitlines() if found else ():
        if line.strip().startswith("}"):
            parents.pop()
            continue
        matched = re.fullmatch(r"\s+(\w+)\s+= (.*)", line)
        assert matched is not None, line
        name, kind = ".".join([*parents, matched[1]]), matched[2]
        default = re.fullmatch(r"optional\([^,]*(?:\([^)]*\))?, (.*)\)", kind)
        keys.append(
            f"`{name}`" + (" (needed)" if not kind.startswith("optional(") else f" = {default[1]}" if default else "")
        )
        if kind.endswith("({"):
            parents.append(matched[1])
    return f" Keys: {', '.join(keys)}." if keys else ""


def _inputs() -> Iterator[str]:
    for name, body in _blocks("variable"):
        default = re.search(r"^  default\s+= (.*)$", body, re.M)
        shown = f"`{default[1]}`" if default else "needed"
        yield f"| `{name}` | {_type(body)} | {shown} | {_described(body)}{_keys(body)} |"


def _outputs() -> Iterator[str]:
    for name, body in _blocks("output"):
        yield f"| `{name}` | {_described(body)} |"


def _table(heading: str) -> list[str]:
    chapter = _README.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in chapter.splitlines() if line.startswith("| `")]


def test_inputs_are_described() -> None:
    assert _table("Inputs") == list(_inputs())


def test_outputs_are_described() -> None:
    assert _table("Outputs") == list(_outputs())


def test_every_refusal_says_what_to_do() -> None:
    """By its verb: what to set, change, remove."""
    verbs = (
        r"\b(set|give|add|remove|raise|lower|rename|choose|copy|change|move|mend|name|keep|write|request|describe)\b"
    )
    texts = [
        text
        for path in sorted(MODULE.glob("*.tf"))
        for text in re.findall(r'error_message = "(.*)"$', path.read_text(encoding="utf-8"), re.M)
    ]
    assert len(texts) > 50
    assert [text for text in texts if not re.search(verbs, text, re.I)] == []


def test_sections_of_the_gateway_are_those_of_its_settings() -> None:
    (body,) = (body for name, body in _blocks("variable") if name == "settings")
    known = re.search(r"setsubtract\(try\(keys\(var\.settings\), \[\]\), \[(.*?)\]\)", body, re.S)
    assert known is not None
    assert set(re.findall(r'"(\w+)"', known[1])) == set(Settings.model_fields)
