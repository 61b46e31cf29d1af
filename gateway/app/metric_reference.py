"""The table of metrics in docs/metrics.md, made of a gateway that runs: `python -m gateway.app.metric_reference FILE`.

The gateway has every face on, on free ports of loopback, and its files in a folder that is gone afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from prometheus_client.core import Metric

from gateway.app.gateway import Gateway, load_directory
from gateway.domain.record import Record, RecordType
from gateway.settings.load import load_settings
from gateway.specs import load_catalog

__all__ = ["metric_table", "running_families", "with_table"]

_PREFIX = "iotlink_"
_MARKS = re.compile(r"(<!-- generated: metrics -->\n).*(<!-- end of generated -->)", re.DOTALL)
_UNITS = ("seconds", "bytes", "ratio")
_SUFFIXES = {"counter": "_total", "info": "_info"}

_FREE_PORTS = [f"{place}.port=0" for place in ("tcp.listeners.0", "mqtt.listeners.0", "rest.listeners.0")]
_FREE_PORTS += ["observe.port=0", "admin.port=0"]
_ALL_FACES = [
    *_FREE_PORTS,
    "tcp.listeners.0.products=[example_thermo]",
    "sources=[{type: mqtt_broker, name: example, url: 'mqtt://127.0.0.1:1'}]",
]


def metric_table(families: Iterable[Metric]) -> str:
    """Every metric of the gateway's own, as a Markdown table. Labels are those of the samples."""
    rows = ["| metric | type | unit | labels | meaning |", "|---|---|---|---|---|"]
    named = {family.name + _SUFFIXES.get(family.type, ""): family for family in families}
    for name, family in sorted(named.items()):
        if not name.startswith(_PREFIX):
            continue
        unit = next((unit for unit in _UNITS if family.name.endswith(f"_{unit}")), "")
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        shown = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {family.type} | {unit} | {shown} | {family.documentation} |")
    return "\n".join(rows) + "\n"


def with_table(text: str, table: str) -> str:
    """The document with its generated part renewed. Raises ValueError where it has no place for it."""
    if _MARKS.search(text) is None:
        raise ValueError("there is no part between `<!-- generated: metrics -->` and `<!-- end of generated -->`")
    return _MARKS.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", text)


async def running_families(folder: Path) -> list[Metric]:
    """What a gateway with all faces has at /metrics. folder: for its files."""
    overrides = [*_ALL_FACES, f"gateway.data_dir={folder}"]
    settings = load_settings(None, overrides, {}).settings
    gateway = Gateway(settings, load_catalog(codec="construct", check_golden=False), load_directory(settings))
    ready = asyncio.Event()
    task = asyncio.create_task(gateway.run(ready.set), name="gateway")
    ended = asyncio.create_task(ready.wait(), name="ready")
    await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    for sink in settings.sinks:  # a product's histogram begins with its first record
        record = Record("", RecordType.TELEMETRY, "example_thermo", "", b"", gateway.clock.unix_ms())
        gateway.metrics.latency.sink(sink).observe([(record, 0)])
    families = list(gateway.metrics.registry.collect())
    gateway.stop()
    await task
    return families


def main(arguments: Sequence[str]) -> None:
    """Renews the table of one file."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    path = Path(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        families = asyncio.run(running_families(Path(folder)))
    path.write_text(with_table(path.read_text("utf-8"), metric_table(families)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
