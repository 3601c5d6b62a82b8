"""Organisations, members and sign-in."""
