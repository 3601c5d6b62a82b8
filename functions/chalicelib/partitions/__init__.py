"""Partitions of programs in the cloud."""
