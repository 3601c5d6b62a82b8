"""Fakes of ports that only our tests use."""
