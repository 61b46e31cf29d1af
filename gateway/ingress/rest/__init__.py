"""The REST face: legacy systems push JSON, NDJSON, CSV, hex and webhooks over HTTP."""
