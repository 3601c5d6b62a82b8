"""Secrets of users, organisations and pipelines."""
