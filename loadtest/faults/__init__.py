"""Fault runs: real processes, a fleet that waits for its answers, and a balance of what became of every frame."""
