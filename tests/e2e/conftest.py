"""These tests run on uvloop, as the product does, and find all specs proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from decoders.catalog import Catalog


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def _all_proven(proven: Catalog) -> None:
    """See `tests/conftest.py`."""
