"""Moto, and what it lacks."""
