"""Decisions about telemetry."""
