"""What later versions bring is refused by name, not as an unknown key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import load_settings

REFUSED = [
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


def test_refused_from_set_too() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, ["shared_state=redis"], {})
    assert str(caught.value).splitlines() == [
        "--set shared_state: shared_state: `shared_state: redis` is not available in this version yet: "
        "use `shared_state: memory`",
    ]


def test_other_shapes_are_left_to_the_model(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("auth: 5\nsinks: [a]\nshared_state: [redis]\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, [], {})
    assert len(str(caught.value).splitlines()) == 3
