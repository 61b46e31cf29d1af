"""The observe listener, over real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.errors import OperatorError
from gateway.domain.receipt import Outcome
from gateway.lifecycle import Lifecycle, Phase
from gateway.observe.health import ComponentHealth, HealthBoard, State
from gateway.observe.http import ObserveServer
from gateway.observe.metrics import Metrics

NOW_MS, NOW = 1_772_323_200_000, "2026-03-01T00:00:00.000Z"


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class Observed:
    """A started listener and a client for it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.lifecycle = Lifecycle(self.clock)
        self.health = HealthBoard(lambda: NOW_MS)
        self.server = ObserveServer(
            self.metrics, self.lifecycle, self.health, host="127.0.0.1", port=0, version="1.2.3", clock=self.clock
        )
        self.client: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.client.get(url, headers=headers) as response:
            return response.status, response.headers["Content-Type"], await response.text()

    async def get_json(self, path: str) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.client.get(url) as response:
            assert response.headers["Cache-Control"] == "no-store"
            return response.status, await response.json()


@pytest.fixture
async def observed() -> AsyncIterator[Observed]:
    observed = Observed()
    await observed.server.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        observed.client = client
        yield observed
    await observed.server.stop()


async def test_port_0_becomes_the_chosen_port(observed: Observed) -> None:
    assert observed.server.port > 0


async def test_metrics_parse_and_follow_the_conventions(observed: Observed) -> None:
    traffic = observed.metrics.traffic("tcp", "concox_gt06")
    traffic.received, traffic.outcomes[Outcome.ACCEPTED] = 5, 3
    observed.metrics.listener("tcp")
    observed.metrics.sink("local").failed["throttled"] = 2
    status, content_type, text = await observed.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"process_cpu_seconds", "process_open_fds", "python_gc_collections", "iotlink_build_info"} <= families.keys()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    labels = (("listener", "tcp"), ("product", "concox_gt06"))
    assert samples["iotlink_uplinks_received_total", labels] == 5
    assert samples["iotlink_uplinks_in_flight", ()] == 2
    assert samples["iotlink_phase", (("phase", "starting"),)] == 1
    assert samples["iotlink_phase", (("phase", "running"),)] == 0
    assert samples["iotlink_build_info", (("version", "1.2.3"),)] == 1


async def test_metric_names_as_promtool_wants_them(observed: Observed) -> None:
    observed.metrics.traffic("tcp", "p")
    observed.metrics.listener("tcp")
    observed.metrics.sink("local").failed["x"] = 0
    observed.metrics.request_seconds.labels("local").observe(0.1)
    _, _, text = await observed.get("/metrics")
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith("iotlink_")]
    assert len(families) > 20
    for family in families:
        assert re.fullmatch(r"iotlink_[a-z0-9]+(_[a-z0-9]+)*", family.name)
        assert family.documentation
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total")
            assert not sample.labels.keys() - {
                "listener", "product", "reason", "sink", "outcome", "error_code", "phase", "version", "le",
            }  # fmt: skip


async def test_openmetrics_when_asked_for(observed: Observed) -> None:
    status, content_type, text = await observed.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    names = [family.name for family in parse_openmetrics(text)]  # type: ignore[no-untyped-call]
    assert "iotlink_phase" in names


async def test_phases(observed: Observed) -> None:
    reason = "phase: starting"
    assert await observed.get_json("/livez") == (200, {"live": True, "phase": "starting"})
    assert await observed.get_json("/startupz") == (503, {"started": False, "phase": "starting"})
    assert await observed.get_json("/readyz") == (503, {"ready": False, "reasons": [reason]})
    observed.lifecycle.move(Phase.RUNNING)
    assert await observed.get_json("/startupz") == (200, {"started": True, "phase": "running"})
    assert await observed.get_json("/readyz") == (200, {"ready": True, "reasons": []})
    observed.lifecycle.move(Phase.DRAINING)
    assert await observed.get_json("/livez") == (200, {"live": True, "phase": "draining"})
    assert (await observed.get_json("/startupz"))[0] == 200
    assert await observed.get_json("/readyz") == (503, {"ready": False, "reasons": ["phase: draining"]})


async def test_probes_say_why_not(observed: Observed) -> None:
    observed.lifecycle.move(Phase.RUNNING)
    answers: list[str | None] = ["no room"]

    def broken() -> str | None:
        raise RuntimeError("broken")

    observed.server.add_probe("outbox", lambda: answers[0])
    assert await observed.get_json("/readyz") == (503, {"ready": False, "reasons": ["outbox: no room"]})
    answers[0] = None
    assert (await observed.get_json("/readyz"))[0] == 200
    observed.server.add_probe("broken", broken)
    assert await observed.get_json("/readyz") == (503, {"ready": False, "reasons": ["broken: its probe failed"]})
    assert (await observed.get_json("/livez"))[0] == 200


async def test_health_shows_each_part(observed: Observed) -> None:
    sinks = {"main": ComponentHealth(State.DOWN, "throttled: too fast", {"backlog_records": 3})}
    observed.health.add("sinks", lambda: ComponentHealth.of_parts(sinks))
    observed.clock.now = 60.0
    observed.lifecycle.move(Phase.RUNNING)
    observed.clock.now = 65.5
    assert await observed.get_json("/health") == (
        200,
        {
            "status": "degraded",
            "phase": "running",
            "phase_s": 5.5,
            "uptime_s": 15.5,
            "version": "1.2.3",
            "ready": True,
            "reasons": [],
            "components": {
                "sinks": {
                    "state": "degraded",
                    "since": NOW,
                    "last_error": {"detail": "main: throttled: too fast", "at": NOW},
                    "parts": {
                        "main": {
                            "state": "down",
                            "since": NOW,
                            "last_error": {"detail": "throttled: too fast", "at": NOW},
                            "backlog_records": 3,
                        }
                    },
                },
            },
        },
    )


async def test_what_is_not_ready_is_down(observed: Observed) -> None:
    observed.health.add("spool", ComponentHealth)
    assert (await observed.get_json("/health"))[1]["status"] == "down"
    observed.lifecycle.move(Phase.RUNNING)
    assert (await observed.get_json("/health"))[1]["status"] == "ok"
    observed.server.add_probe("spool", lambda: "full")
    body = (await observed.get_json("/health"))[1]
    assert (body["status"], body["ready"], body["reasons"]) == ("down", False, ["spool: full"])
    _, _, text = await observed.get("/metrics")
    assert "iotlink_ready 0.0" in text


@pytest.mark.parametrize("path", ["/", "/admin", "/metrics/x", "/livez/", "/..%2f..%2fetc/passwd", "/debug/pprof"])
async def test_there_is_nothing_else(observed: Observed, path: str) -> None:
    assert (await observed.get(path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_it_is_read_only(observed: Observed, method: str) -> None:
    for path in ("/metrics", "/livez", "/readyz", "/startupz", "/health"):
        async with observed.client.request(method, f"http://127.0.0.1:{observed.server.port}{path}") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET,HEAD"


async def test_a_taken_port_is_the_operators_to_mend(observed: Observed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        health = HealthBoard(lambda: NOW_MS)
        other = ObserveServer(
            Metrics(), observed.lifecycle, health, host="127.0.0.1", port=port, version="", clock=observed.clock
        )
        with pytest.raises(OperatorError, match=rf"observe: cannot listen on 127\.0\.0\.1:{port}: .*`observe\.port`"):
            await other.start()
        await other.stop()


async def test_what_is_no_http_is_counted(observed: Observed) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", observed.server.port)
    writer.write(b"garbage\r\n\r\n")
    async with asyncio.timeout(10):
        assert b" 400 " in await reader.read()
    writer.close()
    _, _, text = await observed.get("/metrics")
    assert 'iotlink_http_malformed_requests_total{listener="observe"} 1.0' in text


async def test_stopping_twice_is_harmless(observed: Observed) -> None:
    await observed.server.stop()
    await observed.server.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await observed.get("/livez")
