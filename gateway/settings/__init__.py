"""The configuration: one YAML file, environment, `--set`."""

from __future__ import annotations

from gateway.settings.load import Loaded, load_settings, settings_schema
from gateway.settings.model import FileSink, KinesisSink, Settings, TcpListener

__all__ = ["FileSink", "KinesisSink", "Loaded", "Settings", "TcpListener", "load_settings", "settings_schema"]
