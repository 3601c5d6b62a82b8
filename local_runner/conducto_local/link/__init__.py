"""The agent's link to its cloud: one outbound WebSocket, over which people control pipelines."""
