"""Organisations, members and tokens in the table."""
