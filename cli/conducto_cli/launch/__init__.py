"""Launches of a tree: on this machine and in the cloud."""
