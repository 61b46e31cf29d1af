"""Spools that dead instances left on a shared volume."""

from __future__ import annotations

from pathlib import Path

from gateway.delivery.spool.lock import is_free


def adoptable(root: Path, own: str) -> list[Path]:
    """Spool directories below `root` whose lock can be taken, sorted, without the one named `own`.

    Each is opened as a `Spool(..., adopted=True)`; another instance may be faster: then its `start` raises. Blocking,
    but short.
    """
    try:
        directories = sorted(path for path in root.iterdir() if path.name != own and path.is_dir())
    except FileNotFoundError:
        return []
    return [path for path in directories if is_free(path)]
