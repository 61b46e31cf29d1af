"""Simulated devices, fake services, load scenarios."""
