"""Assistants at the agent: their tokens, and commands in containers of failures."""
