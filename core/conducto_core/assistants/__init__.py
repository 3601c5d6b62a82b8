"""Assistants: programs that act for a person, with tokens of their own kind."""
