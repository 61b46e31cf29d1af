"""The spec language: model, loader, lint, schema."""
