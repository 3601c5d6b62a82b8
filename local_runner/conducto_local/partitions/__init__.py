"""Partitions of the programs on this machine."""
