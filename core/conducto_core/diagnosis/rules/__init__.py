"""Decisions of the diagnosis."""
