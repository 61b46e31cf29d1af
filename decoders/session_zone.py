"""The zone of a device's clock, as its own messages say it: `session: zone`.

A message that says it is read with it, and what follows on its connection too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decoders.plan import MessagePlan
from decoders.times import zone_seconds

__all__ = ["seconds_of", "zone_told"]

_MOST_S = 14 * 3600


def seconds_of(value: Any) -> int | None:
    """Seconds east of UTC of what a device says: such a number, or a text such as `+08:00`, `-0330`, `UTC`, `Z`; None
    for anything else."""
    try:
        seconds = zone_seconds(value.strip()) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if abs(seconds) <= _MOST_S else None


def zone_told(message: MessagePlan, values: Mapping[str, Any]) -> tuple[str, int | None] | None:
    """The value that says the zone, and the zone (None: what it says is none); None where nothing says it. Of several
    values the last one counts."""
    names = [name for what, name in message.session if what == "zone" and values.get(name) is not None]
    return (names[-1], seconds_of(values[names[-1]])) if names else None
