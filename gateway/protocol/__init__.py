"""Machines without I/O: what a peer said and what to answer."""
