"""Topic names and filters: their rules, and the rules about who may say what (sections 4.7 and 4.8.2).

Place in the walk: the codec checks names with it, the client machine checks access, the broker routes by its trees
(`topic_tree`). Sections are those of MQTT 5.0; 3.1.1 says the same of all but shared subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from gateway.protocol.mqtt.packets import MqttError, ReasonCode

__all__ = [
    "MAX_LEVELS",
    "TopicCache",
    "covers",
    "fill",
    "filter_problem",
    "matches",
    "name_problem",
    "rule_problem",
    "split_share",
]

MAX_LEVELS = 128
"""A limit of ours: what a level costs in a tree is more than its bytes."""

MAX_TOPIC_BYTES = 65_535
"""Section 4.7.3: as long as a string on the wire can be."""

SHARE = "$share/"

_WILDCARD = re.compile(r"[+#]")
_BAD_WILDCARD = re.compile(r"[^/][+#]|\+[^/]|#.", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_NOT_IN_A_LEVEL = re.compile(r"[/+#\0]")


def name_problem(topic: str) -> str:
    """Why this is no topic name; empty if it is one. The rules of sections 4.7.1 and 4.7.3."""
    if _WILDCARD.search(topic):
        return "a topic name holds no wildcard"
    return _problem(topic)


def filter_problem(topic_filter: str) -> str:
    """Why this is no topic filter (with or without $share); empty if it is one. Sections 4.7.1, 4.7.3, 4.8.2."""
    if topic_filter.startswith(SHARE):
        _, group, *rest = topic_filter.split("/", 2)
        if not group or _WILDCARD.search(group):
            return "a share name is not empty and holds no wildcard"
        if not rest or not rest[0]:
            return "a shared subscription has a filter behind its share name"
        topic_filter = rest[0]
    if _BAD_WILDCARD.search(topic_filter):
        return "a wildcard is a whole level, and # the last one"
    return _problem(topic_filter)


def _problem(topic: str) -> str:
    if not topic:
        return "a topic is not empty"
    if "\0" in topic:
        return "a topic holds no U+0000"
    if topic.count("/") >= MAX_LEVELS:
        return f"a topic has at most {MAX_LEVELS} levels"
    if len(topic) * 4 > MAX_TOPIC_BYTES and len(topic.encode()) > MAX_TOPIC_BYTES:
        return f"a topic has at most {MAX_TOPIC_BYTES} bytes"
    return ""


def split_share(topic_filter: str) -> tuple[str, str]:
    """(group, filter) of a valid `$share/group/filter`; ("", topic_filter) of any other (section 4.8.2)."""
    if not topic_filter.startswith(SHARE):
        return "", topic_filter
    _, group, rest = topic_filter.split("/", 2)
    return group, rest


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a valid filter without $share matches a valid name (section 4.7)."""
    if topic_filter == topic:
        return True
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic[0] == "$" and wanted[0] in ("+", "#"):
        return False  # MQTT-4.7.2-1
    if wanted[-1] == "#":
        del wanted[-1]
        if len(levels) < len(wanted):
            return False
    elif len(levels) != len(wanted):
        return False
    return all(want in ("+", level) for want, level in zip(wanted, levels, strict=False))


def covers(allowed: str, topic_filter: str) -> bool:
    """Whether `allowed` matches every name that `topic_filter` can match (both valid, without $share): whether somebody
    with that rule may subscribe to it."""
    rules, wanted = allowed.split("/"), topic_filter.split("/")
    if topic_filter[0] == "$" and rules[0] in ("+", "#"):
        return False
    if rules[-1] == "#":
        del rules[-1]
        if len(wanted) < len(rules):
            return False
        if rules and len(wanted) == len(rules) and wanted[-1] == "#":
            # a/# matches a as well, and a/+/# does not; but there is no name above # and /#
            return topic_filter in ("#", "/#") and rules[-1] == "+" and rules[0] in ("", "+")
    elif len(wanted) != len(rules) or wanted[-1] == "#":
        return False
    return all(rule == want or (rule == "+" and want != "#") for rule, want in zip(rules, wanted, strict=False))


def rule_problem(rule: str, names: Collection[str]) -> str:
    """Why this is no topic rule: a filter without $share in which `{name}` stands for one of `names`; empty if it is
    one."""
    for name in _PLACEHOLDER.findall(rule):
        if name not in names:
            return f"{{{name}}} is not known here; there are {', '.join(f'{{{known}}}' for known in names)}"
    if rule.startswith(SHARE):
        return "a topic rule is about the filter alone, without $share"
    return filter_problem(_PLACEHOLDER.sub("x", rule))


def fill(rule: str, values: Mapping[str, str]) -> str | None:
    """A valid topic rule with the values of its placeholders put in (`devices/{device_id}/#`).

    None where the rule says nothing about this client: a value is missing or empty, or it would widen the rule, since
    it holds `/`, `+`, `#` or U+0000 or makes a `$` topic.
    """
    if "{" not in rule:
        return rule
    for name in _PLACEHOLDER.findall(rule):
        value = values.get(name, "")
        if not value or _NOT_IN_A_LEVEL.search(value):
            return None
    filled = _PLACEHOLDER.sub(lambda found: values[found[1]], rule)
    if filled[0] == "$" and rule[0] != "$":
        return None
    return filled


class TopicCache:
    """Topic names as they stand on the wire -> text, checked once. Shared by the connections of a listener: devices
    say the same few names all the time. known: what is in it; for the decoder's fast path, to read only."""

    __slots__ = ("_max_topics", "known")

    MAX_BYTES = 256
    """Longer names are not kept, so that the size of the cache is bounded in bytes too."""

    def __init__(self, max_topics: int = 16_384) -> None:
        self.known: dict[bytes, str] = {}
        self._max_topics = max_topics

    def read(self, name: bytes) -> str:
        """The name as text. Raises MqttError if it is none."""
        try:
            topic = name.decode()
        except UnicodeDecodeError:
            raise MqttError(ReasonCode.MALFORMED_PACKET, "topic name is not UTF-8") from None
        if "\0" in topic:
            raise MqttError(ReasonCode.MALFORMED_PACKET, "topic name holds U+0000")
        problem = name_problem(topic)
        if problem:
            raise MqttError(ReasonCode.TOPIC_NAME_INVALID, problem)
        if len(name) <= self.MAX_BYTES:
            if len(self.known) >= self._max_topics:
                self.known.clear()  # the names in use are back at once; to find the oldest costs every message
            self.known[name] = topic
        return topic
