"""Figures for CloudWatch of a gateway that works: in its own loop, and as a process whose stdout CloudWatch reads."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from loadtest.fake_kinesis import FakeKinesis
from tests.deploy.live_gateway import PER_ROUND, all_faces, talk
from tests.e2e import frames
from tests.e2e.process import Serve
from tests.e2e.rig import Json, RunningGateway, aws_credentials, config, kinesis_sink, until, write_config
from tests.gateway.observe.emf_schema import check

pytestmark = pytest.mark.e2e

EMF = {"port": 0, "emf": {"namespace": "IotLink", "service": "iotlink-test"}}
SPOOL = {"max_bytes": "16MiB", "segment_bytes": "1MiB"}
IMEI = "359999000000001"


def figure_lines(text: str) -> list[Json]:
    lines = [orjson.loads(line) for line in text.splitlines() if '"_aws"' in line]
    for line in lines:
        check(line)
        assert (line["event"], line["service"]) == ("figures", "iotlink-test")
    return lines


async def test_every_face_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sink takes nothing, so that something waits for it."""
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("gateway.observe.emf.INTERVAL_S", 0.001)  # a line each time that somebody looks
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        settings = all_faces(tmp_path, sinks=kinesis_sink(kinesis.url), observe=EMF, spool=SPOOL)
        async with RunningGateway(tmp_path, settings) as rig:
            kinesis.faults.http_500 = 1.0
            await talk(rig)
            await rig.settled(PER_ROUND)
            tracker = await rig.connect()
            await tracker.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
            assert rig.gateway.figures is not None
            before = figure_lines(capsys.readouterr().out)
            rig.gateway.figures.turn()
            lines = [*before, *figure_lines(capsys.readouterr().out)]
            assert lines[-1]["sessions"] == rig.total("iotlink_connections") >= 1
            assert lines[-1]["delivery_lag_seconds"] > 0
            assert 0 < lines[-1]["spool_used_percent"] < 100
            assert sum(line["frames"] for line in lines) == rig.total("iotlink_frames_received_total") > PER_ROUND
            assert sum(line["dead_letters"] for line in lines) == rig.total("iotlink_dead_letters_total") > 0
            kinesis.faults.http_500 = 0.0
            await until(lambda: rig.total("iotlink_sink_backlog_records") == 0, "the sink has everything")


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_the_process_writes_a_last_line_whatever_the_log_looks_like(tmp_path: Path, log_format: str) -> None:
    settings = config(tmp_path, observe=EMF, log={"format": log_format})
    gateway = Serve(tmp_path, "--config", write_config(tmp_path, settings))
    await gateway.start()
    try:
        await until(lambda: any("started" in line for line in gateway.stdout), "it has started")
        assert await gateway.terminate() == 0
    finally:
        await gateway.kill()
    assert gateway.stderr == ""
    (line,) = figure_lines("\n".join(gateway.stdout))
    assert (line["frames"], line["dead_letters"]) == (0, 0)
    assert "sessions" not in line
    assert "stopped" in gateway.stdout[-1]
