"""Budgets: the maximum cost of a node in the cloud."""
