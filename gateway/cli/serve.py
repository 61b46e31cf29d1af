"""`iotlink serve`: runs the gateway."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from decoders.errors import SpecError
from gateway.cli.config import ConfigOption, SetOption, load_or_exit
from gateway.cli.notify import Notifier
from gateway.cli.output import EXIT_USAGE, fail
from gateway.domain.errors import ConfigError, OperatorError
from gateway.observe.logs import configure_logs
from gateway.settings.model import Settings
from gateway.specs import ProofMemory, Replaced, cache_dir, load_catalog, prove_once

if TYPE_CHECKING:
    from gateway.app import Gateway

_log = structlog.get_logger(__name__)

GC_THRESHOLD = 100_000
"""New objects between two looks at the youngest ones. Frames leave no cycles behind: looking is mostly in vain."""


def serve(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Run the gateway until SIGTERM or SIGINT. Without a config: loopback, file sink, data under ./data."""
    loaded = load_or_exit(config, set_)
    settings = loaded.settings
    on_stdout = any(sink.type == "stdout" for sink in settings.sinks.values())
    configure_logs(settings.log.level, settings.log.format, sys.stderr if on_stdout else None)
    try:
        gateway = build(settings)
        gateway.lifecycle.on_change(Notifier(os.environ).on_phase)
        refused = run(gateway)
    except ConfigError as error:
        fail(loaded.placed(error), EXIT_USAGE)
    except SpecError as error:
        fail(str(error), EXIT_USAGE)
    except OperatorError as error:
        fail(str(error))
    except ExceptionGroup as group:
        _log.error("delivery_ended", exc_info=group)
        fail(f"the delivery ended: {group.exceptions[0]}")
    if refused:
        fail(f"{refused} uplinks were not durable in time and were refused: their senders will send them again")


def build(settings: Settings) -> Gateway:
    """Reads specs and devices; nothing listens yet. Raises SpecError, ConfigError or OperatorError."""

    from gateway.app import Gateway, load_directory  # here, so that small commands need not load the servers

    def notice(replaced: Replaced) -> None:
        _log.info("spec_replaced", product=replaced.product, by=replaced.source, instead_of=replaced.replaced)

    codec = settings.gateway.codec
    gc.disable()  # next to nothing of what compiling makes is garbage: a fifth of the time
    try:
        catalog = load_catalog(settings.gateway.specs_dirs, codec=codec, notice=notice, check_golden=False)
        # The cache of an image is read-only: proofs of one's own specs go beside the data.
        memory = ProofMemory(cache_dir(os.environ), settings.gateway.data_dir / "cache")
        proven = prove_once(catalog, memory, codec)
    finally:
        gc.enable()
    if proven:
        _log.info("codecs_proven", products=proven)
    return Gateway(settings, catalog, load_directory(settings))


def run(gateway: Gateway, on_ready: Callable[[], None] | None = None) -> int:
    """Runs it on uvloop, or asyncio's own loop where uvloop is not to be had. Returns how many uplinks were refused."""
    # Specs, codecs and modules live as long as the process: the collector need not look at them again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(gateway.run(on_ready))
    return uvloop.run(gateway.run(on_ready))
