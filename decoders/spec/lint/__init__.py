"""`spec lint`: what a spec may say and probably should not. Each rule has a code, a severity and a fix of one line.

An `error` is a contradiction: the spec cannot mean that. A `warning` is a gap or a habit that costs others time.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoders.catalog import LoadedProduct
from decoders.spec.lint.candidates import AMBIGUOUS, ambiguous
from decoders.spec.lint.golden_frames import GOLDEN_RULES
from decoders.spec.lint.messages import MESSAGE_RULES
from decoders.spec.lint.names import NAME_RULES
from decoders.spec.lint.origin import ORIGIN_RULES
from decoders.spec.lint.python_types import PYTHON_RULES
from decoders.spec.lint.ranges import RANGE_RULES
from decoders.spec.lint.reach import REACH_RULES
from decoders.spec.lint.subject import Finding, Rule, subjects
from decoders.spec.lint.unlikely import UNLIKELY_RULES
from decoders.spec.lint.unused import UNUSED_RULES

__all__ = ["AMBIGUOUS", "RULES", "Finding", "Rule", "lint", "lint_together"]

RULES: tuple[Rule, ...] = (
    *GOLDEN_RULES,
    *NAME_RULES,
    *MESSAGE_RULES,
    *RANGE_RULES,
    *REACH_RULES,
    *UNLIKELY_RULES,
    *UNUSED_RULES,
    *PYTHON_RULES,
    *ORIGIN_RULES,
)
"""All rules on one product, in the order in which they are documented."""


def lint(loaded: LoadedProduct) -> list[Finding]:
    """All findings in the order of the files, those of variants among them."""
    found: dict[tuple[str, str, int, int, str], Finding] = {}
    for subject in subjects(loaded):
        for rule in RULES:
            if rule.whole and subject.variant:
                continue
            for problem in rule.check(subject):
                key = (problem.code, problem.source, problem.line, problem.column, problem.message)
                found.setdefault(key, Finding(rule.severity, problem))
    return sorted(found.values(), key=lambda item: (item.problem.source, item.problem.line, item.problem.column))


def lint_together(products: Sequence[LoadedProduct]) -> list[Finding]:
    """What several products say only together: which of them one listener could not tell apart."""
    return list(ambiguous(products))
