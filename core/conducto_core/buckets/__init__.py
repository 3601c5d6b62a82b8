"""Buckets that an administrator registers for the commands of organisations."""
