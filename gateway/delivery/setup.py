"""From settings to a delivery that is ready to start: spool, sinks, senders, routes, outbox, adoption."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from gateway.delivery.adoption import Adoption
from gateway.delivery.backoff import Backoff
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.delivery.outbox import AckOn, Outbox
from gateway.delivery.routes import Route, Routes
from gateway.delivery.sender import Sender
from gateway.delivery.sinks import Sink
from gateway.delivery.sinks.file import LINGER_MS, FileSink
from gateway.delivery.sinks.stdout import StdoutSink
from gateway.delivery.spool.spool import Spool, StateKeeper
from gateway.domain.record import DEAD_LETTER, RAW
from gateway.domain.state import StateKind
from gateway.observe.metrics import Metrics
from gateway.settings import model

BACKOFF_BASE_S = 0.1
BACKOFF_CAP_S = 5.0

_PACKED_LINGER_MS = 50.0  # each request begins a Kinesis record per stripe; half-empty ones cost as much as full ones
_FILE_LINGER_MS = 100.0  # with the spool in front: fewer, larger commits


def make_outbox(
    settings: model.Settings,
    gateway_id: str,
    letters: DeadLetterStore,
    metrics: Metrics,
    keepers: Mapping[StateKind, StateKeeper],
) -> Outbox:
    """gateway_id: names the own spool's folder below `spool.dir`. keepers: of what is remembered beside records."""
    own = settings.spool.dir / gateway_id
    routes = _routes(settings)
    make_senders = functools.partial(_senders, settings, metrics)
    outbox = Outbox(
        _spool(settings, own, metrics, keepers),
        make_senders(),
        routes,
        letters,
        ack_on=AckOn(settings.ack_on),
        letters_also_to=settings.dead_letters.also_to,
    )
    adoption = Adoption(
        own, outbox, routes, lambda path: _spool(settings, path, metrics, {}, adopted=True), make_senders
    )
    outbox.also_run("adoption", adoption.run)
    return outbox


def _spool(
    settings: model.Settings,
    directory: Path,
    metrics: Metrics,
    keepers: Mapping[StateKind, StateKeeper],
    *,
    adopted: bool = False,
) -> Spool:
    spool = settings.spool
    return Spool(
        directory,
        metrics.spool,
        max_bytes=spool.max_bytes,
        segment_bytes=spool.segment_bytes,
        commit_interval_max_ms=spool.commit_interval_max_ms,
        keepers=keepers,
        adopted=adopted,
    )


def _routes(settings: model.Settings) -> Routes:
    archive, copy = settings.raw_archive.sink, settings.dead_letters.also_to
    routes = [Route(tuple(r.to), frozenset(r.types), frozenset(r.products)) for r in settings.routes]
    if not routes:  # all to the only sink beside those that have a purpose of their own
        apart = {archive if settings.raw_archive.enabled else None, copy}
        names = [name for name in settings.sinks if name not in apart] or list(settings.sinks)
        routes = [Route((names[0],))]
    special = [(RAW, archive if settings.raw_archive.enabled else None), (DEAD_LETTER, copy)]
    return Routes(routes, [Route((sink,), frozenset({kind})) for kind, sink in special if sink is not None])


def _senders(settings: model.Settings, metrics: Metrics) -> dict[str, Sender]:
    return {
        name: Sender(
            _sink(name, sink, settings.ack_on),
            metrics,
            backoff=Backoff(BACKOFF_BASE_S, BACKOFF_CAP_S),
            linger_ms=getattr(sink, "linger_ms", None),
            # Nobody waits for a sink when the spool has answered, and a request costs the more the fewer share it.
            always_lingers=settings.ack_on == "spool",
        )
        for name, sink in settings.sinks.items()
    }


def _sink(name: str, sink: model.Sink, ack_on: str) -> Sink:
    if isinstance(sink, model.KinesisSink):
        # Here, since the AWS client takes longer to import than everything else together.
        from gateway.delivery.sinks import kinesis
        from gateway.delivery.sinks.packings import Aggregated, Ndjson, Plain

        packing = {"plain": Plain, "aggregated": Aggregated, "ndjson": Ndjson}[sink.packing]
        may_wait = sink.packing != "plain" and ack_on == "spool"
        return kinesis.KinesisSink(
            name,
            sink.stream,
            packing=packing(),
            region=sink.region or os.environ.get("AWS_REGION"),
            endpoint_url=sink.endpoint_url,
            linger_ms=_PACKED_LINGER_MS if may_wait else kinesis.LINGER_MS,
        )
    if isinstance(sink, model.StdoutSink):
        return StdoutSink(name)
    linger_ms = LINGER_MS if ack_on == "sink" else _FILE_LINGER_MS
    return FileSink(
        name, Path(sink.dir), rotate_bytes=sink.rotate_mb << 20, rotate_s=sink.rotate_s, linger_ms=linger_ms
    )
