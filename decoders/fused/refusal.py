"""How generated code and its generator say no."""

from __future__ import annotations


class Refused(Exception):
    """The generated function cannot read this frame; the reference codec says why."""


class Unsupported(Exception):
    """The layout has something that is read by the reference codec only; the text says what."""
