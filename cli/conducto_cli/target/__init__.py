"""Targets: this machine, or a cloud installation."""
