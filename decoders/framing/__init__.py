"""Cuts a byte stream into frames: one module per size rule, one framer that drives them."""
