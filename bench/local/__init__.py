"""Measurements of the local runner."""
