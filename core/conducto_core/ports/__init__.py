"""The ports of the API: pipelines, secrets, downloads."""
