"""The store of pipelines: the port, and its SQLite adapter."""
