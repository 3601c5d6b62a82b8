"""The cache of the agent."""
