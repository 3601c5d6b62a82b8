"""Partitions of programs: which have run, and how."""
