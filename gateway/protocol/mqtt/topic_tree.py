"""Who gets a message, and which retained messages a subscription gets: trees of topic levels (section 4.7).

Place in the walk: behind the broker. All filters and names that come in are valid (`topics`); paths are walked without
recursion, whatever their depth.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from gateway.protocol.mqtt.topics import split_share

__all__ = ["Group", "Match", "NameTree", "TopicTree"]

K = TypeVar("K")
V = TypeVar("V")

MAX_REMEMBERED = 8_192
"""Topics whose match is remembered."""

MAX_REMEMBERED_CHARACTERS = 256
"""Longer topics are not remembered, so that what is kept is bounded in bytes too."""


class Group(Generic[K, V]):
    """One shared subscription (section 4.8.2). members: in the order in which they came; a member is never in twice.
    turn: the caller's, for taking turns."""

    __slots__ = ("members", "name", "topic_filter", "turn")

    def __init__(self, name: str, topic_filter: str) -> None:
        self.name = name
        self.topic_filter = topic_filter
        self.members: dict[K, V] = {}
        self.turn = 0


class Match(Generic[K, V]):
    """Who gets a message. plain: one mapping key -> value a filter that matches, none of them empty. groups: the
    shared subscriptions that match; one member of each gets it. Views of the tree: to read only, and no longer than
    until the next `put` or `drop`."""

    __slots__ = ("groups", "plain")

    def __init__(self, plain: list[dict[K, V]], groups: list[Group[K, V]]) -> None:
        self.plain = plain
        self.groups = groups


class _Filters(Generic[K, V]):
    """A node: what is subscribed to the filter that ends here."""

    __slots__ = ("below", "groups", "plain")

    def __init__(self) -> None:
        self.below: dict[str, _Filters[K, V]] = {}
        self.plain: dict[K, V] = {}
        self.groups: dict[str, Group[K, V]] = {}


class TopicTree(Generic[K, V]):
    """Subscriptions by filter. K: whose (client id or session); V: how (options). len(): how many there are."""

    __slots__ = ("_count", "_remembered", "_root")

    def __init__(self) -> None:
        self._root: _Filters[K, V] = _Filters()
        self._remembered: dict[str, Match[K, V]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, topic_filter: str, key: K, value: V) -> bool:
        """Adds or replaces; `$share/group/filter` joins the group. True if it was not there."""
        name, plain_filter = split_share(topic_filter)
        node = self._root
        for level in plain_filter.split("/"):
            below = node.below.get(level)
            if below is None:
                below = node.below[level] = _Filters()
            node = below
        keys = node.plain
        if name:
            group = node.groups.get(name)
            if group is None:
                group = node.groups[name] = Group(name, plain_filter)
            keys = group.members
        if not keys:
            self._remembered.clear()
        new = key not in keys
        keys[key] = value
        self._count += new
        return new

    def drop(self, topic_filter: str, key: K) -> bool:
        """False if it was not there."""
        name, plain_filter = split_share(topic_filter)
        levels = plain_filter.split("/")
        path = [self._root]
        for level in levels:
            below = path[-1].below.get(level)
            if below is None:
                return False
            path.append(below)
        node = path[-1]
        group = node.groups.get(name)
        if name and group is None:
            return False
        keys = node.plain if group is None else group.members
        if key not in keys:
            return False
        del keys[key]
        self._count -= 1
        if keys:
            return True
        self._remembered.clear()
        if group is not None:
            del node.groups[name]
        while levels and not (node.below or node.plain or node.groups):
            path.pop()
            node = path[-1]
            del node.below[levels.pop()]
        return True

    def match(self, topic: str) -> Match[K, V]:
        """All subscriptions whose filter matches the name. The same key may be in several of the mappings."""
        remembered = self._remembered.get(topic)
        if remembered is not None:
            return remembered
        found = self._find(topic)
        match = Match([node.plain for node in found if node.plain], [g for node in found for g in node.groups.values()])
        if len(topic) <= MAX_REMEMBERED_CHARACTERS:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[topic] = match
        return match

    def _find(self, topic: str) -> list[_Filters[K, V]]:
        found: list[_Filters[K, V]] = []
        nodes = [self._root]
        hidden = topic.startswith("$")  # from wildcards in the first level (MQTT-4.7.2-1)
        for level in topic.split("/"):
            following: list[_Filters[K, V]] = []
            for node in nodes:
                below = node.below
                if not below:
                    continue
                if (exact := below.get(level)) is not None:
                    following.append(exact)
                if hidden:
                    continue
                if (any_one := below.get("+")) is not None:
                    following.append(any_one)
                if (rest := below.get("#")) is not None:
                    found.append(rest)
            hidden = False
            nodes = following
        found += nodes
        found += [node.below["#"] for node in nodes if "#" in node.below]  # a/# matches a
        return found


class _Names:
    """A node. topic: the name that ends here, if there is one."""

    __slots__ = ("below", "topic")

    def __init__(self) -> None:
        self.below: dict[str, _Names] = {}
        self.topic = ""


class NameTree(Generic[V]):
    """Values by topic name (retained messages), found by filter. len(): how many there are."""

    __slots__ = ("_root", "_values")

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        self._root = _Names()

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> Collection[V]:
        """All of them, whatever their topic."""
        return self._values.values()

    def get(self, topic: str) -> V | None:
        return self._values.get(topic)

    def put(self, topic: str, value: V) -> bool:
        """Adds or replaces. True if it was not there."""
        new = topic not in self._values
        self._values[topic] = value
        if new:
            node = self._root
            for level in topic.split("/"):
                below = node.below.get(level)
                if below is None:
                    below = node.below[level] = _Names()
                node = below
            node.topic = topic
        return new

    def drop(self, topic: str) -> V | None:
        """What was there."""
        if topic not in self._values:
            return None
        levels = topic.split("/")
        path = [self._root]
        for level in levels:
            path.append(path[-1].below[level])
        path[-1].topic = ""
        while levels and not (path[-1].below or path[-1].topic):
            path.pop()
            del path[-1].below[levels.pop()]
        return self._values.pop(topic)

    def find(self, topic_filter: str) -> list[tuple[str, V]]:
        """All whose name this filter (without $share) matches."""
        nodes = [self._root]
        levels = topic_filter.split("/")
        rest = levels[-1] == "#"
        if rest:
            levels.pop()
        for index, level in enumerate(levels):
            if level == "+":
                nodes = [
                    below
                    for node in nodes
                    for name, below in node.below.items()
                    if index or not name.startswith("$")  # MQTT-4.7.2-1
                ]
            else:
                nodes = [node.below[level] for node in nodes if level in node.below]
        found: list[str] = []
        if rest and not levels:
            nodes = [below for name, below in self._root.below.items() if not name.startswith("$")]
        while nodes:
            node = nodes.pop()
            if node.topic:
                found.append(node.topic)
            if rest:
                nodes += node.below.values()
        return [(topic, self._values[topic]) for topic in found]
