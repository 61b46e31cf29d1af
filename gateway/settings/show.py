"""The effective settings as YAML that this gateway reads back, each line with its origin if wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from decoders.spec.source import scalar
from gateway.settings.layers import Path, dotted

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # as they are; escaped they may stand
_COMMENT_COLUMN = 48


def render_yaml(data: Mapping[str, Any], origin: Mapping[str, str] | None = None) -> str:
    """Block YAML of plain data (as `Loaded.effective` gives it). origin: comment of each value, by dotted path."""
    lines: list[str] = []
    _mapping(data, (), "", lines, origin or {})
    return "\n".join(lines) + "\n"


def _mapping(data: Mapping[str, Any], path: Path, indent: str, lines: list[str], origin: Mapping[str, str]) -> None:
    for key, value in data.items():
        _item(f"{indent}{_scalar(key)}:", value, (*path, key), f"{indent}  ", lines, origin)


def _item(head: str, value: Any, path: Path, indent: str, lines: list[str], origin: Mapping[str, str]) -> None:
    if isinstance(value, Mapping) and value:
        lines.append(head)
        _mapping(value, path, indent, lines, origin)
    elif isinstance(value, list) and value:
        lines.append(head)
        for index, item in enumerate(value):
            first = len(lines)
            _item(f"{indent}-", item, (*path, index), f"{indent}  ", lines, origin)
            if isinstance(item, (Mapping, list)) and item:
                # The first inner line moves up beside its dash.
                del lines[first]
                lines[first] = f"{indent}- {lines[first].removeprefix(indent + '  ')}"
    else:
        line = f"{head} {_scalar(value)}"
        place = origin.get(dotted(path))
        lines.append(f"{line:<{_COMMENT_COLUMN}} # {place}" if place else line)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and scalar(value) == value:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
