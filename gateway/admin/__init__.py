"""The operations API: what an operator may look at and change in a running gateway."""
