"""In-memory fakes of ports and of DynamoDB.

The contract suites test them together with AWS.
"""

from tests.fakes.cloud.billing import FakeBilling, FakeProvider
from tests.fakes.cloud.identity import FakeConnections, FakeOrgs, FakeTokens
from tests.fakes.cloud.image_builder import FakeBuilder
from tests.fakes.cloud.people import FakeAuditLog, FakePeople
from tests.fakes.cloud.shells import FakeShells
from tests.fakes.cloud.sign_in import FakeIdentities, FakeIdentityProvider
from tests.fakes.cloud.state_machines import FakeMachines
from tests.fakes.cloud.storage import FakeBlobs, FakeLogs, FakeVault
from tests.fakes.cloud.store import FakeStore
from tests.fakes.cloud.workers import FakeFleet

__all__ = [
    "FakeAuditLog",
    "FakeBilling",
    "FakeBlobs",
    "FakeBuilder",
    "FakeConnections",
    "FakeFleet",
    "FakeIdentities",
    "FakeIdentityProvider",
    "FakeLogs",
    "FakeMachines",
    "FakeOrgs",
    "FakePeople",
    "FakeProvider",
    "FakeShells",
    "FakeStore",
    "FakeTokens",
    "FakeVault",
]
