"""The configuration: one YAML file, environment, `--set`."""
