"""The observe listener: /metrics, /livez, /readyz, /startupz, /health. Read-only, and nothing else.

Liveness says only that the event loop turns: a sink that is down must not restart the process. Readiness says whether
a load balancer should send new connections here. Health shows each part: `status` is `down` while it is not ready, else
`degraded` while a part is not well; a sink that is away is no more than that, as the spool takes what comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson
import structlog
from aiohttp import web
from prometheus_client import GCCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from gateway.lifecycle import Lifecycle, Phase
from gateway.observe.health import HealthBoard, State
from gateway.observe.http_listener import HttpListener, HttpOptions
from gateway.observe.metrics import Metrics

Probe: TypeAlias = Callable[[], str | None]
"""Why new connections should go elsewhere, or None when they should not."""


_log = structlog.get_logger("gateway.observe.http")


class ObserveServer:
    """Serves one gateway's metrics and health.

    port: 0 takes any free one; `port` tells which once started. clock: the one of the lifecycle.
    """

    def __init__(
        self,
        metrics: Metrics,
        lifecycle: Lifecycle,
        health: HealthBoard,
        *,
        host: str,
        port: int,
        version: str,
        clock: Callable[[], float],
    ) -> None:
        self.host = host
        self.port = port
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._version = version
        self._clock = clock
        self._started = clock()
        self._probes: dict[str, Probe] = {}
        self._health = health
        self._listener: HttpListener | None = None
        ProcessCollector(registry=metrics.registry)
        GCCollector(registry=metrics.registry)
        metrics.add(self._families)

    def add_probe(self, name: str, probe: Probe) -> None:
        """Asked at each /readyz. name: of the part that answers; it stands before the reason."""
        self._probes[name] = probe

    async def start(self) -> None:
        """Begins to listen. OperatorError: the address cannot be bound."""
        app = web.Application(middlewares=[_plain_errors])
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_live)
        app.router.add_get("/readyz", self._serve_ready)
        app.router.add_get("/startupz", self._serve_startup)
        app.router.add_get("/health", self._serve_health)
        options = HttpOptions("observe", self.host, self.port, "observe")
        self._listener = HttpListener(app, options, self._metrics)
        await self._listener.start()
        self.port = self._listener.addresses[0][1]

    async def stop(self) -> None:
        """Ends listening; requests under way get a second."""
        if self._listener is not None:
            await self._listener.close()

    def not_ready(self) -> list[str]:
        """Every reason why this gateway should get no new connections; [] when it should."""
        reasons = []
        if self._lifecycle.phase is not Phase.RUNNING:
            reasons.append(f"phase: {self._lifecycle.phase.value}")
        for name, probe in self._probes.items():
            try:
                reason = probe()
            except Exception:
                _log.exception("probe_failed", probe=name)
                reason = "its probe failed"
            if reason is not None:
                reasons.append(f"{name}: {reason}")
        return reasons

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def _serve_live(self, _: web.Request) -> web.Response:
        return _json(200, {"live": True, "phase": self._lifecycle.phase.value})

    async def _serve_ready(self, _: web.Request) -> web.Response:
        reasons = self.not_ready()
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def _serve_startup(self, _: web.Request) -> web.Response:
        started = self._lifecycle.phase is not Phase.STARTING
        return _json(200 if started else 503, {"started": started, "phase": self._lifecycle.phase.value})

    async def _serve_health(self, _: web.Request) -> web.Response:
        now = self._clock()
        reasons = self.not_ready()
        well, components = self._health.report()
        return _json(
            200,
            {
                "status": (State.DOWN if reasons else State.OK if well else State.DEGRADED).value,
                "phase": self._lifecycle.phase.value,
                "phase_s": round(now - self._lifecycle.since, 3),
                "uptime_s": round(now - self._started, 3),
                "version": self._version,
                "ready": not reasons,
                "reasons": reasons,
                "components": components,
            },
        )

    def _families(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("iotlink_build_info", "1, with the version as label.", labels=["version"])
        build.add_metric([self._version], 1)
        phase = GaugeMetricFamily("iotlink_phase", "1 for the phase that the gateway is in.", labels=["phase"])
        for known in Phase:
            phase.add_metric([known.value], 1 if known is self._lifecycle.phase else 0)
        ready = GaugeMetricFamily("iotlink_ready", "1 while /readyz says yes.", value=not self.not_ready())
        yield from (build, phase, ready)


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(body, default=str),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@web.middleware
async def _plain_errors(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPException as error:
        answer = _json(error.status, {"error": error.reason})
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    return response
