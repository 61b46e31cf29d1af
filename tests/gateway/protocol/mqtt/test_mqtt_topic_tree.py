from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.protocol.mqtt import topic_tree
from gateway.protocol.mqtt.topic_tree import NameTree, TopicTree
from gateway.protocol.mqtt.topics import MAX_LEVELS, filter_problem, matches, split_share

LEVELS = st.sampled_from(["a", "b", "$x", ""])
NAMES = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.lists(LEVELS | st.sampled_from(["+", "#", "$share/g", "$share/h"]), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda topic_filter: not filter_problem(topic_filter))
)
KEYS = st.integers(0, 3)


class Subscriptions(RuleBasedStateMachine):
    """A tree against a flat list."""

    def __init__(self) -> None:
        super().__init__()
        self.tree: TopicTree[int, int] = TopicTree()
        self.model: dict[tuple[str, int], int] = {}

    @rule(topic_filter=FILTERS, key=KEYS, value=st.integers())
    def put(self, topic_filter: str, key: int, value: int) -> None:
        assert self.tree.put(topic_filter, key, value) is ((topic_filter, key) not in self.model)
        self.model[topic_filter, key] = value

    @rule(topic_filter=FILTERS, key=KEYS)
    def drop(self, topic_filter: str, key: int) -> None:
        assert self.tree.drop(topic_filter, key) is (self.model.pop((topic_filter, key), None) is not None)

    @rule(data=st.data())
    def drop_one_of_them(self, data: st.DataObject) -> None:
        if self.model:
            self.drop(*data.draw(st.sampled_from(list(self.model))))

    @rule(topic=NAMES)
    def match(self, topic: str) -> None:
        for _ in range(2):  # the second time it is remembered
            match = self.tree.match(topic)
            plain = [(key, value) for found in match.plain for key, value in found.items()]
            shared = [
                (group.name, group.topic_filter, key, value)
                for group in match.groups
                for key, value in group.members.items()
            ]
            expected_plain, expected_shared = [], []
            for (topic_filter, key), value in self.model.items():
                name, plain_filter = split_share(topic_filter)
                if not matches(plain_filter, topic):
                    continue
                if name:
                    expected_shared.append((name, plain_filter, key, value))
                else:
                    expected_plain.append((key, value))
            assert sorted(plain) == sorted(expected_plain)
            assert sorted(shared) == sorted(expected_shared)
            assert all(match.plain)
            assert all(group.members for group in match.groups)

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert len(self.tree) == len(self.model)
        if not self.model:
            assert self.tree._root.below == {}


TestSubscriptions = Subscriptions.TestCase
TestSubscriptions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Retained(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tree: NameTree[int] = NameTree()
        self.model: dict[str, int] = {}

    @rule(topic=NAMES, value=st.integers())
    def put(self, topic: str, value: int) -> None:
        assert self.tree.put(topic, value) is (topic not in self.model)
        self.model[topic] = value

    @rule(topic=NAMES)
    def drop(self, topic: str) -> None:
        assert self.tree.drop(topic) == self.model.pop(topic, None)

    @rule(topic_filter=FILTERS)
    def find(self, topic_filter: str) -> None:
        plain_filter = split_share(topic_filter)[1]
        expected = [(topic, value) for topic, value in self.model.items() if matches(plain_filter, topic)]
        assert sorted(self.tree.find(plain_filter)) == sorted(expected)

    @rule(topic=NAMES)
    def get(self, topic: str) -> None:
        assert self.tree.get(topic) == self.model.get(topic)

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert len(self.tree) == len(self.model)
        assert sorted(self.tree.values()) == sorted(self.model.values())
        if not self.model:
            assert self.tree._root.below == {}


TestRetained = Retained.TestCase
TestRetained.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_client_with_overlapping_filters_is_found_in_each() -> None:
    """The broker delivers once, with the highest QoS: it sees all of them."""
    tree: TopicTree[str, int] = TopicTree()
    tree.put("a/#", "c", 0)
    tree.put("a/b", "c", 2)
    tree.put("+/b", "d", 1)
    assert sorted(map(repr, tree.match("a/b").plain)) == ["{'c': 0}", "{'c': 2}", "{'d': 1}"]


def test_groups_of_the_same_name_and_other_filters_are_others() -> None:  # section 4.8.2
    tree: TopicTree[str, int] = TopicTree()
    tree.put("$share/g/a", "c", 0)
    tree.put("$share/g/+", "c", 1)
    tree.put("$share/h/a", "d", 0)
    assert sorted((group.name, group.topic_filter) for group in tree.match("a").groups) == [
        ("g", "+"),
        ("g", "a"),
        ("h", "a"),
    ]


def test_a_group_keeps_the_order_and_the_turn_of_its_members() -> None:
    tree: TopicTree[str, int] = TopicTree()
    for key in ("c", "d", "e"):
        tree.put("$share/g/a", key, 0)
    (group,) = tree.match("a").groups
    group.turn = 2
    tree.drop("$share/g/a", "d")
    (group,) = tree.match("a").groups
    assert list(group.members) == ["c", "e"]
    assert group.turn == 2


def test_as_deep_as_it_gets() -> None:
    deep = "/".join("a" * MAX_LEVELS)
    tree: TopicTree[str, int] = TopicTree()
    tree.put(deep, "c", 0)
    tree.put("/".join("+" * MAX_LEVELS), "d", 0)
    assert len(tree.match(deep).plain) == 2
    assert tree.drop(deep, "c")
    names: NameTree[int] = NameTree()
    names.put(deep, 1)
    assert names.find("#") == [(deep, 1)]
    assert names.drop(deep) == 1


@given(st.integers(1, 30))
def test_what_is_remembered_is_bounded(count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topic_tree, "MAX_REMEMBERED", 10)
        tree: TopicTree[str, int] = TopicTree()
        tree.put("#", "c", 0)
        for number in range(count):
            assert tree.match(f"a/{number}").plain == [{"c": 0}]
            assert len(tree._remembered) <= 10
        long = "x" * 300
        assert tree.match(long).plain == [{"c": 0}]
        assert long not in tree._remembered
