"""Covered lines of files, from the coverage files of commands."""
