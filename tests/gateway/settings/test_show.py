"""What `config show` prints can be read back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from decoders.spec.source import load
from gateway.settings import load_settings
from gateway.settings.show import render_yaml

TEXT = st.text(alphabet=st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT,
    st.sampled_from(["on", "010", "1e3", "~", "", "null", "12:30", "- x", "a: b", "#", "0x1F", "2..9", "${env:A}"]),
)  # fmt: skip
DATA = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
        max_leaves=10,
    ),
    max_size=4,
)


@given(DATA)
def test_round_trip(data: dict[str, Any]) -> None:
    shown = load(render_yaml(data), "shown").data
    assert (shown or {}) == data


def test_effective_settings_are_a_configuration(tmp_path: Any) -> None:
    loaded = load_settings(None, ["tcp.listeners.0.tenant=010"], {})
    file = tmp_path / "c.yaml"
    file.write_text(render_yaml(loaded.effective(redacted=False), loaded.origin))
    assert load_settings(file, [], {}).settings == loaded.settings


def test_shape() -> None:
    data = {"a": {"b": 1.0, "c": []}, "d": [{"e": "on", "f": {"g": "x y"}}, [1, 2]], "h": None}
    origin = {"a.b": "f:1", "d.0.e": "--set", "d.1.1": "default"}
    lines = [" ".join(line.split()) if "#" in line else line for line in render_yaml(data, origin).splitlines()]
    assert lines == [
        "a:",
        "b: 1 # f:1",
        "  c: []",
        "d:",
        "- e: on # --set",
        "    f:",
        '      g: "x y"',
        "  - - 1",
        "- 2 # default",
        "h: null",
    ]
