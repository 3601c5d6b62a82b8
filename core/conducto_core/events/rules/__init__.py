"""Paths into payloads, event patterns, and what a payload launches. Pure."""
