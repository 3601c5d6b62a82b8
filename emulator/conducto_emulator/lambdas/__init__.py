"""Emulates Lambda and EventBridge."""
