"""Checks of commits at GitHub: their summary, annotations and buttons."""
