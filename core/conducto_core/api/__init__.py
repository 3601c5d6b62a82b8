"""The HTTP API: handlers, queries, export, OpenAPI, idempotency."""
