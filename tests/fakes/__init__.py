"""Fakes of ports that only the tests use."""
