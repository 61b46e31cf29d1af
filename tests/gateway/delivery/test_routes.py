"""Which sinks a record is owed to."""

from __future__ import annotations

import pytest

from gateway.delivery.routes import Route, Routes
from gateway.domain.record import Record


def record(kind: str = "telemetry", product: str = "a") -> Record:
    return Record("r", kind, product, "dev-1", b"{}", 0)


def test_the_first_route_that_takes_a_record_decides() -> None:
    routes = Routes(
        [
            Route(("alerts", "main"), types=frozenset({"alert"})),
            Route(("a",), types=frozenset({"telemetry", "event"}), products=frozenset({"a", "b"})),
            Route(("main",)),
        ]
    )
    assert routes.sinks(record("alert")) == ("alerts", "main")
    assert routes.sinks(record("event", "b")) == ("a",)
    assert routes.sinks(record("log", "b")) == ("main",)
    assert routes.sinks(record("event", "c")) == ("main",)
    assert routes.sinks(record("alert")) is routes.sinks(record("alert"))


def test_what_goes_to_one_sink_only_is_asked_first() -> None:
    routes = Routes([Route(("main",))], [Route(("raw",), types=frozenset({"raw"}))])
    assert routes.sinks(record("raw")) == ("raw",)
    assert routes.sinks(record()) == ("main",)


def test_every_record_has_a_way() -> None:
    with pytest.raises(ValueError, match="every record"):
        Routes([])
    with pytest.raises(ValueError, match="every record"):
        Routes([Route(("main",), types=frozenset({"alert"}))])
