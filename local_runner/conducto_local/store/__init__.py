"""Where pipelines are kept: the port, and its SQLite adapter."""
