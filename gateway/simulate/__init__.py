"""Simulated devices, built from product specs: what `iotlink sim`, `iotlink send` and the demo play."""
