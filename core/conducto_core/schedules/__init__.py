"""Schedules: rules that launch pipelines."""
