"""Budgets of nodes."""
