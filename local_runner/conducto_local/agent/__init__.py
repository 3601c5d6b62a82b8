"""The agent as a process of a user and profile."""
