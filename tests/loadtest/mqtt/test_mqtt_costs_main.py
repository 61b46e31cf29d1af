"""The table of `python -m loadtest.mqtt`: rounds in turn, medians, what is missing is shown as missing."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from gateway.protocol.mqtt.packets import Connect, Packet
from loadtest.mqtt.__main__ import Bench, main
from loadtest.mqtt.loads import Load, LoadFailed
from loadtest.mqtt.servers import SomeBroker
from tests.loadtest.mqtt.scripted_broker import ScriptedBroker, Seat

ONE = Load("one", "QoS 1, some", 1, 2, segment=5, window=5, aim=2.0)


class Kept(SomeBroker):
    """Notes what it is to have kept."""

    def __init__(self, name: str, address: tuple[str, int], pid: int, log: list[tuple[str, int]]) -> None:
        super().__init__(address, pid)
        self.name = name
        self._log = log

    async def kept(self, messages: int) -> None:
        self._log.append((self.name, messages))


async def test_rounds_of_all_servers_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[tuple[str, int]] = []
    async with ScriptedBroker() as broker:
        bench = Bench([Kept("gateway", broker.address, os.getpid(), log), Kept("other", broker.address, 0, log)])
        await bench.measure(ONE, 100, 2)
    assert log == [(name, count) for count in (100, 200, 300) for name in ("gateway", "other")]
    first, second = ([cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines())
    assert first[1:3] == ["QoS 1, some", "gateway"]
    assert second[1:3] == ["QoS 1, some", "other"]
    assert float(first[3]) >= 0
    assert (first[4], second[3], second[4]) == ("2", "-", "")
    assert all(float(cell) > 0 for row in (first, second) for cell in row[5:8])


async def test_idle_connections(capsys: pytest.CaptureFixture[str]) -> None:
    async with ScriptedBroker() as broker:
        bench = Bench([SomeBroker(broker.address, os.getpid()), Kept("other", broker.address, 0, [])])
        await bench.hold(50, 2)
        for seat in broker.seats:
            await seat.closed.wait()
        assert len(broker.seats) == 200
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| broker", "| other"))]
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert [float(row[2]) > 0 for row in cells] == [True, True]
    assert cells[1][3:5] == ["-", "-"]


async def test_idle_connections_must_stay() -> None:
    async with ScriptedBroker() as broker:

        def close_the_first(seat: Seat, packet: Packet) -> bool:
            if isinstance(packet, Connect) and len(broker.packets) == 50:
                broker.seats[0].transport.abort()
            return False

        broker.take_over = close_the_first
        with pytest.raises(LoadFailed, match="closed"):
            await Bench([SomeBroker(broker.address)]).hold(50, 1)


def test_no_broker_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen
        port = str(unheard.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["mqtt", "--port", port, "--load", "qos1", "--rounds", "1"])
        assert main() == 1
    assert capsys.readouterr().err.startswith("FAILED: ")
