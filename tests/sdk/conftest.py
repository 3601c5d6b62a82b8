"""Fixtures of tests that run the author API in processes of their own."""

from support.author_processes import home, python, tool

__all__ = ["home", "python", "tool"]
