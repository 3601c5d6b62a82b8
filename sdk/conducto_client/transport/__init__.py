"""Transports of the client."""
