from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.cli import main
from tests.decoders.sensor import ACK, LOGIN, STATUS, compiled, frame, write_product
from tests.gateway.simulate.answering import Answer, answering


def send(specs: Path, *arguments: str, answer: Answer | None = None) -> int:
    async def run() -> int:
        async with answering(compiled(), answer) as gateway:
            common = ["send", "sensor", "--port", str(gateway.port), "--specs", str(specs)]
            return await asyncio.to_thread(main, [*common, *arguments])

    return asyncio.run(run())


def test_frames_and_answers_are_printed(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    status = frame("status", serial=7)
    assert send(specs, STATUS.hex(), status.hex(" "), "--login", LOGIN.hex()) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["sent"] for row in rows] == [LOGIN.hex(), STATUS.hex(), status.hex()]
    assert [row["answers"] for row in rows] == [[ACK.hex()], [ACK.hex()], [frame("ack", serial=7).hex()]]
    assert rows[2]["decoded"] == [{"message": "ack", "values": {"type": 6, "serial": 7}}]
    assert all(row["ms"] >= 0 and not row["closed"] for row in rows)


def test_the_table_says_what_the_answers_mean(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert send(specs, STATUS.hex(), "--output", "table") == 0
    assert "ack {'type': 6, 'serial': 1}" in capsys.readouterr().out


def test_a_frame_that_nobody_answers_by_the_spec_is_no_failure(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert send(specs, "1122", "--timeout", "0.1") == 0
    assert json.loads(capsys.readouterr().out)["answers"] == []


def test_a_missing_answer_is_exit_code_1(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert send(specs, STATUS.hex(), "--timeout", "0.1", answer=lambda wire, replies: []) == 1
    assert json.loads(capsys.readouterr().out)["ms"] is None


def test_nobody_listens_is_one_line(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    server = asyncio.run(_free_port())
    assert main(["send", "sensor", STATUS.hex(), "--port", str(server), "--specs", str(specs)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"127.0.0.1:{server}: Connection refused\n")


async def _free_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("arguments", [[], ["zz"], [STATUS.hex(), "--login", "5"], [STATUS.hex(), "--port", "0"]])
def test_wrong_usage_is_2(arguments: list[str], specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert main(["send", "sensor", *arguments, "--specs", str(specs)]) == 2
    assert capsys.readouterr().out == ""
