"""The worker: the command server in the user's container, and the agent beside it."""
