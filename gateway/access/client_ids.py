"""Client ids: whose a client id is, so that nobody takes over a session of somebody else by naming it.

Place in the walk: the last step of MQTT access, before any session is touched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.domain.errors import ConfigError

__all__ = ["ClientIdRules"]

_NAME = "{device_id}"


class ClientIdRules:
    """Which client ids may belong to which device: `{device_id}`, or with text around it, or with one `*`, as in
    `{device_id}-*` or `app-{device_id}.*`.

    A `*` stands for one character or more, but none of the characters between it and `{device_id}`: otherwise `a-b-1`
    would belong to the devices `a` and `a-b` by one rule. Raises ConfigError for a rule by which that is so all the
    same, or that names no device.
    """

    __slots__ = ("_matches", "_texts")

    def __init__(self, texts: Sequence[str] = (_NAME,), *, setting: str = "auth.client_ids") -> None:
        for index, text in enumerate(texts):
            problem = _problem(text)
            if problem:
                place = f"{setting}.{index}"
                raise ConfigError(f"{place}: `{text}`: {problem}", setting=place)
        if not texts:
            raise ConfigError(f"{setting}: at least one rule is needed, such as `{_NAME}`", setting=setting)
        self._texts = tuple(texts)
        self._matches = [re.compile(_whole_pattern(text), re.DOTALL).fullmatch for text in texts]

    def owners(self, client_id: str) -> list[str]:
        """Ids of devices, or of other clients, whose client id this may be: one a rule at most, in the rules' order."""
        return [found[1] for match in self._matches if (found := match(client_id)) is not None]

    def shown_for(self, name: str) -> str:
        """What a device may use, in words."""
        return " or ".join(text.replace(_NAME, name) for text in self._texts)


def _problem(text: str) -> str:
    before, name, after = text.partition(_NAME)
    if not name or _NAME in after:
        return "`{device_id}` must stand in it, once"
    if "{" in before + after or "}" in before + after:
        return "`{device_id}` is the only placeholder"
    if before.count("*") + after.count("*") > 1:
        return "one `*` at most"
    if before.endswith("*") or after.startswith("*"):
        return "between `*` and `{device_id}` stands at least one other character (`{device_id}-*`)"
    return ""


def _whole_pattern(text: str) -> str:
    before, _, after = text.partition(_NAME)
    return f"{_pattern(before, first=True)}(.+){_pattern(after)}"


def _pattern(part: str, *, first: bool = False) -> str:
    """A part beside `{device_id}` as a regular expression; first: it stands in front of it."""
    if "*" not in part:
        return re.escape(part)
    left, _, right = part.partition("*")
    between = right if first else left
    return f"{re.escape(left)}[^{re.escape(between)}]+{re.escape(right)}"
