"""Queries that the local runner and the cloud's functions share."""
