"""From settings to a delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.outbox import AckOn, Outbox
from gateway.delivery.setup import make_outbox
from gateway.delivery.sinks.file import FileSink
from gateway.delivery.sinks.kinesis import KinesisSink
from gateway.delivery.sinks.stdout import StdoutSink
from gateway.domain.record import Record
from gateway.observe.metrics import Metrics
from gateway.settings import load_settings


def outbox_of(folder: Path, **config: Any) -> Outbox:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump({"gateway": {"data_dir": str(folder / "data")}, **config}))
    settings = load_settings(path, [], {}).settings
    metrics = Metrics()
    letters = DeadLetterStore(folder / "letters", metrics.dead_letters, max_bytes=1_000_000)
    return make_outbox(settings, "gw-1", letters, metrics, {})


def sinks_of(outbox: Outbox, kind: str, product: str = "p") -> tuple[str, ...]:
    return outbox._routes.sinks(Record("r", kind, product, "d", b"{}", 0))


async def test_by_default_everything_goes_to_files_through_a_spool(tmp_path: Path) -> None:
    outbox = outbox_of(tmp_path)
    assert outbox.spool.directory == tmp_path / "data" / "spool" / "gw-1"
    (sender,) = outbox.distribution.senders.values()
    assert isinstance(sender.sink, FileSink)
    assert sender.sink.linger_ms > outbox_linger_with_ack_on_sink(tmp_path), "nobody waits for the files"
    assert sinks_of(outbox, "telemetry") == ("local",)


def outbox_linger_with_ack_on_sink(folder: Path) -> float:
    outbox = outbox_of(folder, ack_on=AckOn.SINK.value)
    (sender,) = outbox.distribution.senders.values()
    return sender.sink.linger_ms


@pytest.mark.parametrize("packing", ["plain", "aggregated", "ndjson"])
async def test_every_kind_of_sink(tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "ap-northeast-2")
    outbox = outbox_of(
        tmp_path,
        sinks={
            "main": {"type": "kinesis", "stream": "s", "packing": packing},
            "out": {"type": "stdout"},
            "raw": {"type": "file"},
            "dead": {"type": "file"},
        },
        routes=[{"types": ["alert"], "to": ["out", "main"]}, {"products": ["q"], "to": ["out"]}, {"to": ["main"]}],
        raw_archive={"enabled": True, "sink": "raw"},
        dead_letters={"also_to": "dead"},
    )
    sinks = {name: sender.sink for name, sender in outbox.distribution.senders.items()}
    main = sinks["main"]
    assert isinstance(main, KinesisSink)
    assert main._region == "ap-northeast-2"
    assert type(main.packing).__name__.lower() == packing
    assert isinstance(sinks["out"], StdoutSink)
    found = [sinks_of(outbox, kind) for kind in ("alert", "telemetry", "raw", "dead_letter")]
    assert found == [("out", "main"), ("main",), ("raw",), ("dead",)]
    assert sinks_of(outbox, "telemetry", "q") == ("out",)


async def test_without_routes_all_goes_to_the_sink_that_has_no_purpose_of_its_own(tmp_path: Path) -> None:
    outbox = outbox_of(
        tmp_path,
        sinks={"raw": {"type": "file"}, "main": {"type": "file"}},
        raw_archive={"enabled": True, "sink": "raw"},
    )
    assert [sinks_of(outbox, kind) for kind in ("telemetry", "raw")] == [("main",), ("raw",)]
