from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from decoders.product import CompiledProduct
from gateway.cli import main
from gateway.cli.sim import load_scripts
from tests.decoders.sensor import SPEC, compiled, write_product
from tests.gateway.simulate.answering import Answer, answering


def closed_port() -> int:
    async def find() -> int:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    return asyncio.run(find())


def play(specs: Path, *arguments: str, product: CompiledProduct | None = None, answer: Answer | None = None) -> int:
    """Runs `iotlink sim` in a thread beside a stand-in for the gateway."""

    async def run() -> int:
        async with answering(product or compiled(), answer) as gateway:
            common = ["sim", "--port", str(gateway.port), "--products", "sensor", "--specs", str(specs)]
            return await asyncio.to_thread(main, [*common, *arguments])

    return asyncio.run(run())


def test_the_summary_is_json(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert play(specs, "--devices", "3", "--frames", "4") == 0
    shown = capsys.readouterr()
    report: dict[str, Any] = json.loads(shown.out)
    expected = {"devices": 3, "connected": 3, "logged_in": 3, "sent": 12, "acknowledged": 12, "records": 12}
    assert {name: report[name] for name in expected} == expected
    assert shown.err == ""


def test_a_rate_and_a_duration(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert play(specs, "-n", "2", "--rate", "100", "--duration", "0.2") == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 < report["sent"] <= 100 * report["elapsed_s"] + 2


def test_missing_answers_are_exit_code_1(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    only_logins: Answer = lambda frame, replies: replies if frame[2] == 1 else []  # noqa: E731
    assert play(specs, "-n", "1", "--timeout", "0.2", answer=only_logins) == 1
    assert json.loads(capsys.readouterr().out)["missing"] == 1


def test_wrong_answers_are_said_on_stderr(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    assert play(specs, "-n", "1", "--frames", "1", "--output", "table", answer=lambda frame, replies: [bytes(6)]) == 1
    shown = capsys.readouterr()
    assert ["wrong", "2"] in [row.split() for row in shown.out.splitlines()]
    assert "sensor: answer 000000000000, the spec says a5" in shown.err


def test_nobody_listens_is_one_line(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs)
    port = closed_port()
    assert main(["sim", "--port", str(port), "--products", "sensor", "--specs", str(specs)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"127.0.0.1:{port}: Connection refused\n")


def test_products_that_cannot_be_played(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_product(specs, golden=None)
    write_product(specs, SPEC.replace("product: sensor", "product: web\ntransports: [rest]"), name="web")
    for product, text in (
        ("sensr", "did you mean `sensor`?"),
        ("sensor", "has no golden frame that a device could send"),
        ("web", "does not speak tcp"),
    ):
        assert main(["sim", "--products", product, "--specs", str(specs)]) == 2
        assert text in capsys.readouterr().err


def test_without_names_all_that_speak_tcp_are_played(specs: Path) -> None:
    write_product(specs)
    write_product(specs, SPEC.replace("product: sensor", "product: web\ntransports: [rest]"), name="web")
    played = {script.product.id for script in load_scripts([], [specs])}
    assert {"sensor", "concox_gt06", "example_thermo"} <= played
    assert "web" not in played
