"""Fakes for every port, shipped so that users and Conducto's tests need no mocks."""
