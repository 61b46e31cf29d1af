from __future__ import annotations

from tests.decoders.spec.lint.findings import HEAD, codes


def test_a_spec_says_what_it_is_and_stands_in_its_own_folder() -> None:
    assert codes("product: sensor\nmessages: {m: {}}") == [("no_origin", 1), ("no_origin", 1)]
    assert codes(f"{HEAD}messages: {{m: {{}}}}", folder="other") == [("folder_name", 1)]
