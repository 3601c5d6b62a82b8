"""Pipelines that commands launch."""
