"""What later versions bring is refused by name, not as an unknown key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import load_settings

REFUSED = [
    ("rest: {}\n", "c.yaml:1:1: rest: `rest` is not available in this version yet"),
    (
        "auth:\n  anonymous_rest: true\n",
        "c.yaml:2:3: auth.anonymous_rest: `anonymous_rest` is not available in this version yet",
    ),
    (
        "shared_state: redis\n",
        "c.yaml:1:15: shared_state: `shared_state: redis` is not available in this version yet: "
        "use `shared_state: memory`",
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused_by_name(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, [], {})
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [expected]


def test_refused_from_the_environment_and_set_too() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, ["shared_state=redis"], {"IOTLINK_REST__PORT": "1"})
    assert str(caught.value).splitlines() == [
        "env IOTLINK_REST__PORT: rest: `rest` is not available in this version yet",
        "--set shared_state: shared_state: `shared_state: redis` is not available in this version yet: "
        "use `shared_state: memory`",
    ]


def test_what_is_switched_off_passes(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "sources: []\nrest: null\nraw_archive: {enabled: false}\nshared_state: memory\n"
        "auth: {devices: open, anonymous_rest: false, clients: []}\n"
    )
    assert load_settings(file, [], {}).settings == load_settings(None, [], {}).settings


def test_other_shapes_are_left_to_the_model(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("auth: 5\nsinks: [a]\nshared_state: [redis]\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, [], {})
    assert len(str(caught.value).splitlines()) == 3
