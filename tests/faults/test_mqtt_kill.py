"""kill -9 in the middle of QoS 1 and QoS 2 bursts, resumed by the clients: `python -m loadtest.mqtt.kill`, short."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.mqtt.kill import Plan, kill

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_acknowledged_message_is_recorded_and_qos_2_never_repeats(tmp_path: Path, seed: int) -> None:
    result = await kill(Plan(tmp_path, rounds=8, seed=seed))
    assert result.problems == []
    assert [row.qos for row in result.rows] == [1, 2]
    for row in result.rows:
        balance = row.balance
        assert (balance.lost, balance.disordered, balance.misnamed) == (0, 0, 0), balance.examples
        assert balance.sent == balance.acknowledged == balance.arrived > 0
        assert row.resumed > 0
        assert row.sent_again > 0
        assert row.holds
    assert result.rows[1].balance.resent == 0
