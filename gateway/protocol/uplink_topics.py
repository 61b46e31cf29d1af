"""Topics of uplinks: templates such as `devices/{device_id}/{role}`, and what a topic says by them.

Place in the walk: the topic reader asks for the route of each message; access asks the same of what a client wants to
publish, and which topics a device may subscribe to. The trees are those of the documents (section "MQTT topics").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "BUILT_IN",
    "DOWN_RULES",
    "ENVELOPES",
    "FORMATS",
    "UP_ROLES",
    "Template",
    "TemplateError",
    "Templates",
    "TopicRoute",
]

NO_HUB = "nohub"
"""Stands in the place of the hub for a device without one."""

UP_ROLES = (
    *("telemetry", "status", "lwt", "log", "response"),
    *("alert_report", "control_result", "provisioning_complete"),
)
DOWN_ROLES = ("command", "config", "ota", "control_request")
FORMATS = ("json", "bin", "csv")
ENVELOPES = ("chirpstack_v4", "tts_v3", "milesight")
TELEMETRY = "telemetry"

_SETS: dict[str, tuple[str, ...]] = {
    "env": ("dev", "stg", "prd"),
    "type": ("periodic", "event", "tcp"),
    "direction": ("pub", "sub"),
    "format": FORMATS,
}
_ROLES_OF_TREE = {
    "iotlink": ("telemetry", "alert_report", "control_request", "control_result", "provisioning_complete"),
    "devices": ("telemetry", "status", "log", "response", "command", "config", "ota"),
}
PLACES = ("device_id", "hub_id", "env", "type", "direction", "role", "format", "product", "measurement")

_PLACE = re.compile(r"\{([^{}]*)\}")
_TREE = "iotlink/{env}/{hub_id}/{device_id}/{type}/{direction}/{role}/{format}"
_MAX_KEPT = 65_536
_MAX_KEPT_TOPIC = 256
_MAX_SHOWN = 40


class TemplateError(ValueError):
    """A template that cannot be used; the text says which part and what to write."""


@dataclass(slots=True, eq=False, frozen=True)
class TopicRoute:
    """What a topic says. "" where it says nothing. Compared by identity: one object for all messages of a topic.

    hub_id: "" also where it says that there is no hub; `hub_said` is True then. role: one of `UP_ROLES`. format: one
    of `FORMATS`, or "": as content type and payload say. problem: why nothing can be made of a topic of a known tree.
    json_only: telemetry as JSON, without an envelope.
    """

    device_id: str
    template: str
    hub_id: str = ""
    hub_said: bool = False
    env: str = ""
    type: str = ""
    direction: str = ""
    role: str = TELEMETRY
    format: str = ""
    product: str = ""
    measurement: str = ""
    envelope: str = ""
    problem: str = ""
    json_only: bool = False


class Template:
    """One template. text: as it was given.

    product, role, format, envelope: what its messages are; a place in the template of the same name goes before it.
    """

    __slots__ = ("_fixed", "_pattern", "_roles", "filter", "text")

    def __init__(self, text: str, *, product: str = "", role: str = "", format: str = "", envelope: str = "") -> None:
        self.text = text
        levels = _levels(text)
        patterns = [_pattern_of(level, text) for level in levels]
        names = _PLACE.findall(text)
        for name in names:
            if names.count(name) > 1:
                raise TemplateError(f"topic template `{text}`: {{{name}}} stands twice")
        self._pattern = re.compile("/".join(patterns), re.DOTALL)
        for what, word, words in (("role", role, UP_ROLES), ("format", format, FORMATS)):
            if word and word not in words:
                raise TemplateError(f"topic template `{text}`: {what} `{word}`: one of {', '.join(words)} was expected")
        if envelope and envelope not in ENVELOPES:
            known = ", ".join(ENVELOPES)
            raise TemplateError(f"topic template `{text}`: envelope `{envelope}`: one of {known} was expected")
        self._fixed = TopicRoute("", text, role=role or TELEMETRY, format=format, product=product, envelope=envelope)
        self._roles = _ROLES_OF_TREE.get(levels[0], (*UP_ROLES, *DOWN_ROLES))
        self.filter = "/".join("+" if "{" in level else level for level in levels)

    def read(self, topic: str) -> TopicRoute | None:
        """None: another topic, or one that leads down to devices."""
        found = self._pattern.fullmatch(topic)
        if found is None:
            return None
        said = found.groupdict()
        problem = self._problem(said)
        if said.get("direction") == "sub" or said.get("role") in DOWN_ROLES:
            return None
        hub_id = said.get("hub_id", "")
        fixed = self._fixed
        role, form = said.get("role", fixed.role), said.get("format", fixed.format)
        return TopicRoute(
            said.get("device_id", ""),
            self.text,
            hub_id="" if hub_id == NO_HUB else hub_id,
            hub_said=bool(hub_id),
            env=said.get("env", ""),
            type=said.get("type", ""),
            direction=said.get("direction", ""),
            role=role,
            format=form,
            product=said.get("product", fixed.product),
            measurement=said.get("measurement", ""),
            envelope=fixed.envelope,
            problem=problem,
            json_only=role == TELEMETRY and form == "json" and not fixed.envelope,
        )

    def _problem(self, said: dict[str, str]) -> str:
        for name, words in (*_SETS.items(), ("role", self._roles)):
            word = said.get(name)
            if word is not None and word not in words:
                return f"{name} `{word[:_MAX_SHOWN]}` in `{self.text}`: one of {', '.join(words)} was expected"
        return ""


def _levels(text: str) -> list[str]:
    if not text or len(text) > 1024:
        raise TemplateError("a topic template has 1-1024 characters")
    if text[0] == "$":
        raise TemplateError(f"topic template `{text}`: topics that begin with `$` belong to brokers")
    if "\0" in text:
        raise TemplateError("a topic template holds no U+0000")
    return text.split("/")


def _pattern_of(level: str, text: str) -> str:
    """A level as a pattern: a word, `+`, or a place with perhaps text around it."""
    if level == "+":
        return "[^/]*"
    if "+" in level or "#" in level:
        raise TemplateError(f"topic template `{text}`: level `{level}`: `+` stands alone, and there is no `#`")
    places = _PLACE.findall(level)
    if len(places) > 1:
        raise TemplateError(f"topic template `{text}`: level `{level}`: one place in a level, not {len(places)}")
    before, brace, rest = level.partition("{")
    if not brace:
        if "}" in level:
            raise TemplateError(f"topic template `{text}`: level `{level}`: `}}` without `{{`")
        return re.escape(level)
    if not places:
        raise TemplateError(f"topic template `{text}`: level `{level}`: `{{` without `}}`")
    if places[0] not in PLACES:
        known = ", ".join(f"{{{name}}}" for name in PLACES)
        raise TemplateError(f"topic template `{text}`: no place `{{{places[0]}}}`; there are {known}")
    after = rest.partition("}")[2]
    if "{" in after or "}" in after:
        raise TemplateError(f"topic template `{text}`: level `{level}`: a brace too many")
    return f"{re.escape(before)}(?P<{places[0]}>[^/]+){re.escape(after)}"


BUILT_IN: tuple[Template, ...] = (
    Template(_TREE),
    Template("devices/{device_id}/{role}"),
    Template("devices/{hub_id}/{device_id}/telemetry"),
    Template("care/{device_id}/{measurement}", product="generic_json", format="json"),
    Template("device/lwt/{device_id}", role="lwt"),
    Template("application/+/device/+/event/up", format="json", envelope="chirpstack_v4"),
    Template("v3/+/devices/+/up", format="json", envelope="tts_v3"),
)
"""In the order in which they are tried, behind the configured ones. Of an envelope its document names the device."""

DOWN_RULES = (
    "iotlink/+/+/{device_id}/+/sub/+/+",
    "iotlink/+/+/{device_id}/event/pub/control_request/+",
    "devices/{device_id}/command",
    "devices/{device_id}/config",
    "devices/{device_id}/ota",
    "$aws/things/{device_id}/shadow/#",
)
"""Topic filters that a device may subscribe to, with `{device_id}` for its id: its own way down."""


class Templates:
    """All templates of a gateway. configured: tried before the built-in ones. What topics say is remembered."""

    __slots__ = ("_known", "_max_kept", "templates")

    def __init__(self, configured: Iterable[Template] = (), *, max_kept: int = _MAX_KEPT) -> None:
        self.templates: Sequence[Template] = (*configured, *BUILT_IN)
        self._known: dict[str, TopicRoute | None] = {}
        self._max_kept = max_kept

    @property
    def filters(self) -> list[str]:
        """Topic filters that together match every uplink, for those who subscribe to a broker."""
        return list(dict.fromkeys(template.filter for template in self.templates))

    def match(self, topic: str) -> TopicRoute | None:
        """What a topic says; None for one that is no uplink's. The first template that fits decides; one that fits but
        for a word goes behind those that fit altogether."""
        try:
            return self._known[topic]
        except KeyError:
            pass
        route = self._find(topic)
        if len(topic) <= _MAX_KEPT_TOPIC:
            if len(self._known) >= self._max_kept:
                self._known.clear()  # the topics in use are back at once; to find the oldest costs every message
            self._known[topic] = route
        return route

    def _find(self, topic: str) -> TopicRoute | None:
        if topic.startswith("$"):
            return None
        first: TopicRoute | None = None
        for template in self.templates:
            route = template.read(topic)
            if route is not None:
                if not route.problem:
                    return route
                first = first or route
        if first is None and topic.startswith("iotlink/") and not _leads_down(topic):
            levels = topic.count("/") + 1
            problem = f"{levels} levels; `{_TREE}` has 8" if levels != 8 else f"an empty level; expected `{_TREE}`"
            return TopicRoute("", _TREE, problem=problem)
        return first


def _leads_down(topic: str) -> bool:
    """Whether a topic of the iotlink tree is one of those that devices subscribe to."""
    levels = topic.split("/")
    return len(levels) == 8 and (levels[5] == "sub" or levels[6] in DOWN_ROLES)
