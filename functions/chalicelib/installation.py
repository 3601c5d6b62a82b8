"""The settings of an installation, which `chalicelib.bootstrap` reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conducto_core.asl.rules.naming import Site
from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.billing.rules import Remedies
from conducto_core.buckets.rules import OrgBuckets, RegisteredBucket
from conducto_core.machines.model import MachineClass
from conducto_core.workers.model import WarmPool


@dataclass(frozen=True)
class Installation:
    """The settings of an installation.

    Attributes:
        site: Region, account and names of state machines and activities.
        url: Returns the API's address for commands; called when one starts.
        socket: Returns the URL of the WebSocket that clients follow.
        web_app: Returns the URL of the web app, or "".
        remedies: Returns how the limits of plans are lifted.
        max_machine_size: Size limit of one state machine.
        cache_bytes: Maximum memory of cached pipelines; the latest stays whatever its size.
        threads: Maximum number of simultaneous calls to AWS for one event.
        spot_share: Maximum number of Spot workers among ten.
        warm: Workers that stay for the next run of their pipeline.
        remote_debug: Whether debug shells may open on workers.
        arm: Whether workers may run on ARM.
        machine_classes: Machine classes of the installation.
        buckets: Buckets that commands may mount.
    """

    site: Site
    url: Callable[[], str] = lambda: ""
    socket: Callable[[], str] = lambda: ""
    web_app: Callable[[], str] = lambda: ""
    remedies: Callable[[], Remedies] = Remedies
    max_machine_size: Size = MAX_SIZE
    cache_bytes: int = 300 << 20
    threads: int = 1
    spot_share: int = 0
    warm: WarmPool = field(default_factory=WarmPool)
    remote_debug: bool = True
    arm: bool = True
    machine_classes: Mapping[str, MachineClass] = field(default_factory=dict)
    buckets: tuple[RegisteredBucket, ...] = ()

    def buckets_of(self, org: str, *, trusted: bool = True) -> OrgBuckets:
        """Return the buckets that a pipeline may mount; see `OrgBuckets`."""
        return OrgBuckets(org, self.buckets, trusted)
