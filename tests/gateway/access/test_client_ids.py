from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.client_ids import ClientIdRules
from gateway.domain.errors import ConfigError


@pytest.mark.parametrize(
    ("rule", "client_id", "owner"),
    [
        ("{device_id}", "dev-1", "dev-1"),
        ("{device_id}", "", ""),
        ("{device_id}", "a/+#\n*", "a/+#\n*"),
        ("app-{device_id}", "app-dev-1", "dev-1"),
        ("app-{device_id}", "dev-1", ""),
        ("app-{device_id}", "app-", ""),
        ("{device_id}-*", "dev-1-7", "dev-1"),
        ("{device_id}-*", "a-b", "a"),
        ("{device_id}-*", "a-b-c", "a-b"),
        ("{device_id}-*", "a-", ""),
        ("{device_id}-*", "a", ""),
        ("*.{device_id}", "x.a.b", "a.b"),
        ("*.{device_id}", "a", ""),
        ("{device_id}:*:mqtt", "a:b:mqtt", "a"),
        ("{device_id}:*:mqtt", "a:b:c:mqtt", "a:b"),
        ("p*]^{device_id}", "px]^dev", "dev"),
    ],
)
def test_a_client_id_belongs_to_one_device(rule: str, client_id: str, owner: str) -> None:
    assert ClientIdRules([rule]).owners(client_id) == ([owner] if owner else [])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "must stand in it"),
        ("*", "must stand in it"),
        ("{device_id}{device_id}", "once"),
        ("{device_id}-{client}", "only placeholder"),
        ("*-{device_id}-*", "one `*`"),
        ("{device_id}*", "one other character"),
        ("*{device_id}", "one other character"),
    ],
)
def test_a_rule_that_leaves_it_open_is_refused(rule: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"auth\.client_ids\.1: ") as caught:
        ClientIdRules(["{device_id}", rule])
    assert words in str(caught.value)


def test_several_rules_give_one_owner_each_in_their_order() -> None:
    rules = ClientIdRules(["{device_id}", "{device_id}-*", "app-{device_id}"])
    assert rules.owners("app-b") == ["app-b", "app", "b"]
    assert rules.owners("a") == ["a"]
    assert rules.shown_for("dev-1") == "dev-1 or dev-1-* or app-dev-1"
    with pytest.raises(ConfigError, match="at least one"):
        ClientIdRules([])


RULES = ["{device_id}", "{device_id}-*", "*-{device_id}", "a{device_id}-.*b", "a*b-{device_id}."]


@given(rule=st.sampled_from(RULES), device_id=st.text("ab-.*", min_size=1, max_size=6), more=st.text("xyz", min_size=1))
def test_every_device_has_client_ids_that_are_its_alone(rule: str, device_id: str, more: str) -> None:
    before, _, after = rule.partition("{device_id}")
    client_id = before.replace("*", more) + device_id + after.replace("*", more)
    assert ClientIdRules([rule]).owners(client_id) == [device_id]
