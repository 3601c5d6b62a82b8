"""In-memory fakes of ports and of DynamoDB.

The contract suites test them together with AWS.
"""

from tests.fakes.cloud.billing import FakeBilling, FakeProvider
from tests.fakes.cloud.identity import FakeConnections, FakeOrgs
from tests.fakes.cloud.image_builder import FakeBuilder
from tests.fakes.cloud.shells import FakeShells
from tests.fakes.cloud.sign_in import FakeIdentityProvider
from tests.fakes.cloud.state_machines import FakeMachines
from tests.fakes.cloud.storage import FakeBlobs, FakeLogs, FakeVault
from tests.fakes.cloud.store import FakeStore
from tests.fakes.cloud.workers import FakeFleet

__all__ = [
    "FakeBilling",
    "FakeBlobs",
    "FakeBuilder",
    "FakeConnections",
    "FakeFleet",
    "FakeIdentityProvider",
    "FakeLogs",
    "FakeMachines",
    "FakeOrgs",
    "FakeProvider",
    "FakeShells",
    "FakeStore",
    "FakeVault",
]
