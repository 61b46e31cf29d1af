"""Gateways that are started here find all specs proven."""

from __future__ import annotations

import pytest

from decoders.catalog import Catalog


@pytest.fixture(scope="session", autouse=True)
def _all_proven(proven: Catalog) -> None:
    """See `tests/conftest.py`."""
