"""The agent's adapters of the API: pipelines, logs, debug containers, downloads."""
