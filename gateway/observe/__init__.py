"""Metrics, logs and the live view."""
