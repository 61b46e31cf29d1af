"""The reference codec: construct reads a raw tree by the layout, then conversions make values of it."""
