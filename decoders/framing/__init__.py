"""Cuts a byte stream into frames."""
