"""Small scenarios for runs against real gateways."""

from __future__ import annotations

from typing import Any

from loadtest.fleet.model import Scenario

SMALL: dict[str, Any] = {
    "scenario": "small",
    "title": "Two seconds of fifty devices",
    "fleet": {
        "tcp": {"devices": 30, "share": 6.0, "products": ["concox_gt06", "jtt_808"]},
        "mqtt": {"devices": 10, "share": 2.0},
        "rest": {"devices": 10, "share": 2.0, "batch": 4},
        "idle": 5,
    },
    "load": [{"seconds": 2.0, "rate": 200.0}],
    "warm_up_s": 0.2,
}


def small(**more: Any) -> Scenario:
    """Sections of `more` are laid over those of the small scenario."""
    data = dict(SMALL)
    for key, value in more.items():
        data[key] = {**data[key], **value} if isinstance(data.get(key), dict) else value
    return Scenario.model_validate(data)
