"""Settings of all tests: Hypothesis measures no time, which says nothing on a busy machine; one memory of proofs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from decoders.catalog import Catalog
from gateway.specs import ProofMemory, load_catalog, prove_once

settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")

SHOWN = "figures"
"""Property (`record_property`) that is shown at the end of the run: what a worker prints itself, nobody sees."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == SHOWN:
                terminalreporter.write_line(f"{report.nodeid}: {value}")


@pytest.fixture(scope="session", autouse=True)
def proof_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this run remembers proofs, for all its workers and for the processes that they start."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "proofs"
    folder.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IOTLINK_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def proven(proof_folder: Path) -> Catalog:
    """The shipped products with their codecs proven, as `serve` does it. What takes long is done once in a run, so that
    no gateway that a test starts needs long for its start."""
    catalog = load_catalog()
    with (proof_folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prove_once(catalog, ProofMemory(proof_folder))
    return catalog
