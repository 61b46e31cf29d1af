"""Python types of installed packages: entry points of the group `iotlink.types` become known to the decoders.

Place in the walk: before specs are compiled, once a process. A package says in its `pyproject.toml`:

    [project.entry-points."iotlink.types"]
    acme_huffman = "acme_payloads:huffman"
"""

from __future__ import annotations

import functools
import importlib.metadata

from decoders import custom

__all__ = ["GROUP", "load_custom_types"]

GROUP = "iotlink.types"


@functools.cache
def load_custom_types() -> tuple[str, ...]:
    """Registers every function of the group; gives the names that are there now. One that cannot be loaded is a
    problem of the specs that use it, and says why there."""
    loaded = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            function = entry.load()
            if not callable(function):
                raise TypeError(f"{entry.value} is no function")
            custom.register(entry.name, function)
        except Exception as error:  # whatever a foreign package raises
            custom.unavailable(entry.name, f"{type(error).__name__}: {error}")
        else:
            loaded.append(entry.name)
    return tuple(loaded)
