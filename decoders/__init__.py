"""Bytes to values and back, by a product's spec. Knows nothing of the gateway; does no I/O."""
