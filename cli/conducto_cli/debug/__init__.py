"""Debug shells."""
