from __future__ import annotations

from decoders.spec.lint import AMBIGUOUS, RULES, lint
from tests.decoders.sensor import loaded
from tests.decoders.spec.lint.findings import HEAD, codes


def test_rules_have_codes_of_their_own_and_say_what_to_do() -> None:
    assert len({rule.code for rule in RULES} | {AMBIGUOUS[0]}) == len(RULES) + 1
    assert {rule.severity for rule in RULES} == {"error", "warning"}
    assert all(rule.title and rule.fix for rule in RULES)


def test_a_variant_is_looked_at_too_and_nothing_is_said_twice() -> None:
    variants = "variants:\n  v:\n    messages: {m: {fields: [{name: temprature, type: u8}, {name: lat, type: u8}]}}\n"
    spec = f"{HEAD}messages: {{m: {{fields: [{{name: lat, type: u8}}]}}}}\n{variants}"
    assert codes(spec) == [("near_miss", 5), ("near_miss", 8), ("near_miss", 8)]


def test_findings_are_in_the_order_of_the_file() -> None:
    lines = [found.problem.line for found in lint(loaded(golden="source: s\ncases: []\n"))]
    assert lines == sorted(lines)
