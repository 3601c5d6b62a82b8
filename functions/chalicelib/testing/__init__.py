"""Fakes of all ports, in memory and honest: the contract suites hold them beside the real ones."""

from chalicelib.testing.builder import FakeBuilder
from chalicelib.testing.fleet import FakeFleet
from chalicelib.testing.machines import FakeMachines
from chalicelib.testing.people import FakeConnections, FakeOrgs, FakeTokens
from chalicelib.testing.shells import FakeShells
from chalicelib.testing.storage import FakeBlobs, FakeLogs, FakeVault
from chalicelib.testing.store import FakeStore

__all__ = [
    "FakeBlobs",
    "FakeBuilder",
    "FakeConnections",
    "FakeFleet",
    "FakeLogs",
    "FakeMachines",
    "FakeOrgs",
    "FakeShells",
    "FakeStore",
    "FakeTokens",
    "FakeVault",
]
