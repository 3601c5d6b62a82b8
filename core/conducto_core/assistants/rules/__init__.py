"""The rules for assistants. Pure."""
