"""Linked agents."""
