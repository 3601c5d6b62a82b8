"""Fakes for every port, shipped so that users and our own tests need no mocks."""
