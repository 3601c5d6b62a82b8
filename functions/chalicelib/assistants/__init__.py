"""Assistants at an installation."""
