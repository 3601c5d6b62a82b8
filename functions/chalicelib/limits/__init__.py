"""Named limits."""
