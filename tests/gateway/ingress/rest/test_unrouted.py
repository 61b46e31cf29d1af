from __future__ import annotations

import pytest

from gateway.ingress.rest.unrouted import no_such_path, not_taken


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/telemetry/", "/v1/telemetry"),
        ("/V1/Telemetry", "/v1/telemetry"),
        ("/v1/telemetri", "/v1/telemetry"),
        ("/v1/frames/secret/", "/v1/frames/{product}"),
        ("/v1/specs/secret:decode/", "/v1/specs/{product}:decode"),
        ("/ingest/ha/secret/", "/ingest/ha/{client_id}"),
        ("/docs/", "/docs"),
    ],
)
def test_what_was_meant(path: str, meant: str) -> None:
    assert no_such_path(path) == f"no such path (did you mean {meant}?): the calls are listed at /docs"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/" + "x" * 8_000, "/wp-login.php", "/\udcff"])
def test_what_is_like_nothing(path: str) -> None:
    assert no_such_path(path) == "no such path: the calls are listed at /docs"


def test_methods() -> None:
    assert not_taken("GET", {"POST"}) == "GET is not taken here: POST is"
    assert not_taken("", {"HEAD", "GET"}) == "this method is not taken here: GET and HEAD are"
