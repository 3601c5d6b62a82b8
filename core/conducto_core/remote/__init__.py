"""Linked agents: frames, policy and operations."""
