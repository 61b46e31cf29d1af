"""Who this gateway is, and which run of it this is: with `seq` they number every record."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.domain.errors import OperatorError
from gateway.settings.model import GATEWAY_ID, Settings

ECS_METADATA = "ECS_CONTAINER_METADATA_URI_V4"
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html"""

_MAX_EPOCH = 1 << 53  # consumers may hold it in a float


def gateway_id(
    settings: Settings, data_dir: Path, environ: Mapping[str, str], fetch: Callable[[str], bytes | str]
) -> str:
    """`gateway.id`; for `auto` the id of the ECS task, else one that is made once and kept in `data_dir/gateway_id`.

    fetch: GET of a URL, its body; OSError when that fails. A task whose metadata cannot be had keeps an id like any
    other machine: it is as unique. OperatorError: the file cannot be read or written, or holds something else.
    """
    if settings.gateway.id != "auto":
        return settings.gateway.id
    task = _ecs_task(environ, fetch)
    return task or _kept_id(data_dir / "gateway_id")


def next_epoch(data_dir: Path, now_ms: int) -> int:
    """Number of this run: max(stored + 1, now_ms), on disk in `data_dir/epoch` before it is returned.

    It rises with every start, also when the clock was set back. OperatorError: the file cannot be read or written, or
    holds something else.
    """
    path = data_dir / "epoch"
    text = _read(path)
    if text is None:
        epoch = now_ms
    elif text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) < _MAX_EPOCH:
        epoch = max(int(text) + 1, now_ms)
    else:
        raise OperatorError(
            f"{path}: expected a whole number, the file holds something else. If no other program writes there, delete "
            f"it: the next run then counts from the clock, which must not be behind that of the last run"
        )
    _write(path, str(epoch))
    return epoch


def _ecs_task(environ: Mapping[str, str], fetch: Callable[[str], bytes | str]) -> str:
    url = environ.get(ECS_METADATA)
    if not url:
        return ""
    try:
        answer = json.loads(fetch(f"{url}/task"))
    except (OSError, ValueError):
        return ""
    arn = answer.get("TaskARN") if isinstance(answer, dict) else None
    task = arn.rpartition("/")[2] if isinstance(arn, str) else ""
    return task if GATEWAY_ID.fullmatch(task) else ""


def _kept_id(path: Path) -> str:
    text = _read(path)
    if text is None:
        text = f"gw-{secrets.token_hex(6)}"
        _write(path, text)
    elif not GATEWAY_ID.fullmatch(text):
        raise OperatorError(
            f"{path}: expected 1 to 64 letters, digits and . _ -, the file holds something else. Write the gateway's "
            f"id into it, or set `gateway.id`, or delete the file: a new id is then made"
        )
    return text


def _read(path: Path) -> str | None:
    """The file's text without white space around it; None when there is no file. Undecodable bytes become U+FFFD."""
    try:
        with path.open("rb") as file:
            return file.read(256).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    """Replaces the file as a whole, durably: a crash leaves the old or the new text, never a part."""
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error.strerror}. Is `gateway.data_dir` writable?") from None
