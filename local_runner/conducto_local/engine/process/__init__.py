"""Plain processes instead of containers."""
