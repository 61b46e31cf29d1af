"""What a run of kills comes to: its table, and what counts as a failure."""

from __future__ import annotations

import pytest

from loadtest.faults.balance import Balance
from loadtest.mqtt.kill import Result, Row, head, line


def test_a_row_has_the_columns_of_the_head() -> None:
    row = Row(1, Balance(sent=9, acknowledged=8, arrived=8, repeated=2, resent=1), 5, 3)
    assert line(row) == "| 1 | 9 | 8 | 8 | 0 | 0 | 2 | 1 | 5 | 3 |"
    assert {text.count("|") for text in head().splitlines()} == {line(row).count("|")}


@pytest.mark.parametrize(
    ("qos", "balance", "problems", "holds"),
    [
        (1, Balance(repeated=5, resent=5), [], True),
        (2, Balance(repeated=5), [], True),
        (2, Balance(resent=1), [], False),
        (1, Balance(lost=1), [], False),
        (1, Balance(disordered=1), [], False),
        (1, Balance(), ["a note is missing"], False),
    ],
)
def test_what_is_a_failure(qos: int, balance: Balance, problems: list[str], holds: bool) -> None:
    assert Result([Row(qos, balance, 0, 0)], 1.0, "", problems).holds is holds
