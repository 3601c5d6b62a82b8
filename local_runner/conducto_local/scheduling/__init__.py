"""Scheduling of commands: the live pipelines, admission, containers, attempts."""
