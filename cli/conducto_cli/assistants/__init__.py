"""Commands for assistants: the protocol, the skill, the documentation, and patches."""
