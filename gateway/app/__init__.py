"""The composition root: the only package that knows everyone."""

from gateway.app.gateway import Gateway, load_directory, version

__all__ = ["Gateway", "load_directory", "version"]
