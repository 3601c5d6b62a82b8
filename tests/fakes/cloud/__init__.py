"""In-memory fakes of all ports; the contract suites test them together with the real adapters."""

from tests.fakes.cloud.agents import FakeAgents, FakeRelays
from tests.fakes.cloud.billing import FakeBilling, FakeProvider
from tests.fakes.cloud.cache import FakeCache
from tests.fakes.cloud.deliveries import FakeDeliveries
from tests.fakes.cloud.identity import FakeConnections, FakeOrgs, FakeTokens
from tests.fakes.cloud.image_builder import FakeBuilder
from tests.fakes.cloud.limits import FakeLimits
from tests.fakes.cloud.named_records import FakeNamedRecords
from tests.fakes.cloud.people import FakeAuditLog, FakePeople
from tests.fakes.cloud.shells import FakeShells
from tests.fakes.cloud.sign_in import FakeIdentities, FakeIdentityProvider
from tests.fakes.cloud.state_machines import FakeMachines
from tests.fakes.cloud.storage import FakeBlobs, FakeLogs, FakeVault
from tests.fakes.cloud.store import FakeStore
from tests.fakes.cloud.workers import FakeFleet

__all__ = [
    "FakeAgents",
    "FakeAuditLog",
    "FakeBilling",
    "FakeBlobs",
    "FakeBuilder",
    "FakeCache",
    "FakeConnections",
    "FakeDeliveries",
    "FakeFleet",
    "FakeIdentities",
    "FakeIdentityProvider",
    "FakeLimits",
    "FakeLogs",
    "FakeMachines",
    "FakeNamedRecords",
    "FakeOrgs",
    "FakePeople",
    "FakeProvider",
    "FakeRelays",
    "FakeShells",
    "FakeStore",
    "FakeTokens",
    "FakeVault",
]
