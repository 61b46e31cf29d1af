"""`python -m gateway` is `iotlink`: the first that runs, and so the place where signals are seen to."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Runs the command that the process was started with; returns its exit code."""
    if sys.argv[1:2] == ["serve"]:
        _end_on_sigterm()
    try:
        from gateway.cli import main as run  # not before signals are seen to: a second may pass

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


def _end_on_sigterm() -> None:
    """Until the gateway runs and takes signals itself there is nothing to settle. The first process of a container gets
    no signal without a handler: it would be killed after the grace time."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)


if __name__ == "__main__":
    sys.exit(main())
