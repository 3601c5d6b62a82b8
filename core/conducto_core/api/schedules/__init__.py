"""Schedules: their operations, and the runner that fires them, the same on both targets."""
