"""The `iotlink` command."""
