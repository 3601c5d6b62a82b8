"""Helpers that tests and the demo share."""
