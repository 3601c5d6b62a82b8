"""Readers of the user's Python code: annotations, argument values, sources, call sites."""
