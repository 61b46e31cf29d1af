"""The fast codec: a layout becomes one generated function per message."""
