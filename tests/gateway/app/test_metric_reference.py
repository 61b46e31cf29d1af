"""docs/metrics.md is what a running gateway has."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from gateway.app.metric_reference import metric_table, running_families, with_table
from tests.deploy.live_gateway import live_metrics

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
BEGIN, END = "<!-- generated: metrics -->", "<!-- end of generated -->"


def test_a_row() -> None:
    counter = CounterMetricFamily("iotlink_frame_bytes", "Bytes.", labels=["listener", "product"])
    counter.add_metric(["tcp", "p"], 1)
    info = InfoMetricFamily("iotlink_catalog", "Specs.", value={"digest": "x"})
    gauge = GaugeMetricFamily("iotlink_a", "A.", value=1)
    other = GaugeMetricFamily("process_open_fds", "Not ours.", value=1)
    assert metric_table([counter, info, gauge, other]).splitlines()[2:] == [
        "| `iotlink_a` | gauge |  |  | A. |",
        "| `iotlink_catalog_info` | info |  | `digest` | Specs. |",
        "| `iotlink_frame_bytes_total` | counter | bytes | `listener`, `product` | Bytes. |",
    ]


def test_the_place_in_a_document() -> None:
    assert with_table(f"a\n{BEGIN}\nold\n{END}\nz", "new\n") == f"a\n{BEGIN}\n\nnew\n\n{END}\nz"
    with pytest.raises(ValueError, match="there is no part between"):
        with_table("a", "new")


async def test_the_document_is_what_a_gateway_has(tmp_path: Path) -> None:
    table = metric_table(await running_families(tmp_path))
    text = DOCUMENT.read_text("utf-8")
    assert with_table(text, table) == text, "make docs"


def test_a_gateway_that_was_talked_to_has_the_same_metrics() -> None:
    text = DOCUMENT.read_text("utf-8")
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `iotlink_")}
    made = {"_created", "_bucket", "_count", "_sum"}
    found = set()
    for family in text_string_to_metric_families(live_metrics()):
        if not family.name.startswith("iotlink_") or family.name.endswith("_created"):
            continue
        suffix = {"counter": "_total"}.get(family.type, "")
        found.add(family.name + suffix)
        used = {sample.name.removeprefix(family.name) for sample in family.samples}
        assert used <= {"", "_total", "_info"} | made
    assert found == named
