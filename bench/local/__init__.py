"""Benchmarks of the local runner."""
