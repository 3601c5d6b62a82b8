"""In-memory fakes of ports and of DynamoDB.

The contract suites test them together with AWS.
"""

from tests.fakes.cloud.billing import FakeProvider
from tests.fakes.cloud.connections import FakeConnections
from tests.fakes.cloud.image_builder import FakeBuilder
from tests.fakes.cloud.sign_in import FakeIdentityProvider
from tests.fakes.cloud.state_machines import FakeMachines
from tests.fakes.cloud.storage import FakeBlobs, FakeLogs, FakeVault
from tests.fakes.cloud.workers import FakeFleet

__all__ = [
    "FakeBlobs",
    "FakeBuilder",
    "FakeConnections",
    "FakeFleet",
    "FakeIdentityProvider",
    "FakeLogs",
    "FakeMachines",
    "FakeProvider",
    "FakeVault",
]
