"""What the cloud target is built of; `chalicelib.bootstrap` creates it.

Only `chalicelib.services` reads it: everything else takes the parts that it uses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.api.store import TableConnections
from chalicelib.billing.store import BillingPorts
from chalicelib.errors import Timing
from chalicelib.events.port import EventPorts
from chalicelib.images.port import Builder
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.people.port import IdentityProvider, Mail
from chalicelib.records import Records
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.secrets.references import SecretPorts
from chalicelib.triggers.tokens import GitPorts
from chalicelib.workers.port import Compute

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender


@dataclass(frozen=True)
class Dependencies:
    """The parts.

    Attributes:
        connections: The WebSocket connections of clients and agents.
        billing: The payment provider and its records; None: the installation has no billing.
        collector: Returns the sender to the installation's collector of telemetry; None: there is
            none.
        invoke_background: Starts an invocation of the function ``background``; None: there is no
            such function, and its work is done at once.
    """

    records: Records
    storage: Storage
    compute: Compute
    secrets: SecretPorts
    git: GitPorts
    installation: Installation
    provider: IdentityProvider
    events: EventPorts
    connections: TableConnections
    builder: Builder
    timing: Timing = field(default_factory=Timing)
    mail: Mail = lambda _to, _subject, _text, _password: False
    billing: BillingPorts | None = None
    collector: "Callable[[], OtlpSender] | None" = None
    invoke_background: Callable[[BackgroundEvent], None] | None = None
