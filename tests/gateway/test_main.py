"""`python -m gateway`: what its exit code is when nothing goes on as usual; signals are in `tests/e2e`."""

from __future__ import annotations

import signal

import pytest

import gateway.cli
from gateway.__main__ import INTERRUPTED, main


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(gateway.cli, "main", interrupted)
    assert main() == INTERRUPTED


@pytest.mark.parametrize(("arguments", "own"), [(["serve"], True), (["ingest", "serve"], False), ([], False)])
def test_only_serve_has_an_end_of_its_own(arguments: list[str], own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run() -> int:
        seen.append(signal.getsignal(signal.SIGTERM))
        return 7

    monkeypatch.setattr("sys.argv", ["iotlink", *arguments])
    monkeypatch.setattr(gateway.cli, "main", run)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main() == 7
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (seen != [before]) is own
