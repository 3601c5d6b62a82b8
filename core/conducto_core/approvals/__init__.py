"""Approvals: nodes that wait for a person."""
