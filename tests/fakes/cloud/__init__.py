"""In-memory fakes of the ports, and of DynamoDB for the adapters of the table.

The contract suites test them together with the real ones.
"""

from tests.fakes.cloud.billing import FakeProvider
from tests.fakes.cloud.image_builder import FakeBuilder
from tests.fakes.cloud.sign_in import FakeIdentityProvider
from tests.fakes.cloud.state_machines import FakeMachines
from tests.fakes.cloud.storage import FakeBlobs, FakeLogs, FakeVault
from tests.fakes.cloud.workers import FakeFleet

__all__ = [
    "FakeBlobs",
    "FakeBuilder",
    "FakeFleet",
    "FakeIdentityProvider",
    "FakeLogs",
    "FakeMachines",
    "FakeProvider",
    "FakeVault",
]
