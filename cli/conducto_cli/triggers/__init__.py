"""Git triggers."""
