"""Secrets: `${env:NAME}` and `${file:PATH}` in any text of the configuration.

They are resolved each time the settings are loaded, after all sources were merged, so that a reload reads them anew.
What they stand for appears in no message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\{(?:(\w+):([^{}]+)|[^}]*)\}?")
_MAX_SECRET_BYTES = 65_536


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """The text with its references replaced. Raises ValueError that names the variable or file, never a value."""
    return _REFERENCE.sub(lambda found: _value(found, environ), text)


def is_reference(text: str) -> bool:
    """True when the text is one reference and nothing else."""
    return _REFERENCE.fullmatch(text) is not None


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    kind, name = found[1], found[2]
    if kind == "env" and found[0].endswith("}"):
        if name not in environ:
            raise ValueError(f"the environment variable {name} is not set")
        return environ[name]
    if kind == "file" and found[0].endswith("}"):
        return _file(Path(name))
    raise ValueError(f"`{found[0]}` is no reference: expected ${{env:NAME}} or ${{file:PATH}}")


def _file(path: Path) -> str:
    """The file's text without its last line break, which editors and `echo` add."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ValueError(f"cannot read the secret file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the secret file {path} is not UTF-8 text") from None
    if len(data) > _MAX_SECRET_BYTES:
        raise ValueError(f"the secret file {path} is larger than {_MAX_SECRET_BYTES} bytes")
    return text.removesuffix("\n").removesuffix("\r")
