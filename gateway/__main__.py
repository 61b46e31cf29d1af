"""`python -m gateway` is `iotlink`."""

from __future__ import annotations

import sys

try:
    from gateway.cli import main

    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
