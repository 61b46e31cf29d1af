"""Settings of all tests: Hypothesis measures no time, which says nothing on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
