"""The external dependencies of the cloud target; `chalicelib.bootstrap` creates them."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.api.store import TableConnections
from chalicelib.billing.store import BillingPorts
from chalicelib.errors import R, retry_throttled
from chalicelib.events.port import CloudSchedules, EventQueues, EventRules
from chalicelib.images.port import Builder
from chalicelib.logs.port import LogKey, LogStore
from chalicelib.people.port import IdentityProvider, SecretVault
from chalicelib.records import Records
from chalicelib.run.port import Blobs, DataFiles, StateMachines
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.secrets.references import SecretReferences
from chalicelib.triggers.port import (
    GithubAppApi,
    GitProvider,
    GitRefs,
)
from chalicelib.workers.port import WorkerFleet
from conducto_core.asl.rules.naming import Site
from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.billing.rules import Remedies
from conducto_core.machines.model import MachineClass
from conducto_core.workers.model import Credentials, WarmPool

#: Called with address, subject, text and password.
Mail = Callable[[str, str, str, str | None], bool]

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender


@dataclass(frozen=True)
class Dependencies(Records):
    """The records, the ports and the settings of the installation.

    Attributes:
        site: Region, account and names of state machines and activities.
        event_rules: The rules of EventBridge; None: the installation takes no events of the
            account.
        event_queues: The queues of SQS; None as `event_rules`.
        named_queues: ``(organisation, ARN)`` of queues that triggers may read, besides their own.
        url: Returns the API's address for commands; called when one starts.
        socket: Returns the URL of the WebSocket that clients follow.
        web_app: Returns the URL of the web app, or "".
        remedies: Returns how the limits of plans are lifted.
        billing: The payment provider and its records; None: the installation has no billing.
        lend_credentials: Returns credentials with which a worker polls an activity, or None to use
            those of its task.
        join_output: Joins the chunks of a complete output stream (`LogStore.join`) in the
            background.
        collector: Returns the sender to the installation's collector of telemetry; None: there is
            none.
        log_bucket: The administrator's bucket for copies of output; None: there is none.
        clock: Seconds since the epoch.
        mail: Mails a text, with the password of the mail server, and returns whether there is one;
            raises `conducto.integrations.http.DeliveryError`.
        sleep: Sleeps for a number of seconds.
        jitter: Returns a number from 0 to 1, so that competing writers retry at different times.
        max_machine_size: Size limit of one state machine.
        invoke_background: Starts an invocation of the function ``background``; None: there is no
            such function, and its work is done at once.
        launch_delay: Reserves a number of launches at AWS, and returns the seconds until they are
            allowed.
        cache_bytes: Maximum memory of cached pipelines; the latest stays whatever its size.
        threads: Maximum number of simultaneous calls to AWS for one event.
        spot_share: Maximum number of Spot workers among ten.
        warm: Workers that stay for the next run of their pipeline.
        remote_debug: Whether debug shells may open on workers.
        arm: Whether workers may run on ARM.
        machine_classes: Machine classes of the installation.
        services: Environment variables of commands for non-default service addresses.
        references: Reads secrets by reference.
    """

    logs: LogStore
    blobs: Blobs
    data: DataFiles
    machines: StateMachines
    fleet: WorkerFleet
    vault: SecretVault
    provider: IdentityProvider
    schedules: CloudSchedules
    git: GitProvider
    refs: GitRefs
    github: GithubAppApi
    connections: TableConnections
    builder: Builder
    site: Site
    event_rules: EventRules | None = None
    event_queues: EventQueues | None = None
    named_queues: frozenset[tuple[str, str]] = frozenset()
    url: Callable[[], str] = lambda: ""
    socket: Callable[[], str] = lambda: ""
    web_app: Callable[[], str] = lambda: ""
    remedies: Callable[[], Remedies] = Remedies
    billing: BillingPorts | None = None
    lend_credentials: Callable[[str, str], Credentials | None] = lambda _activity, _worker: None
    join_output: Callable[[LogKey], None] = lambda _key: None
    collector: "Callable[[], OtlpSender] | None" = None
    log_bucket: Blobs | None = None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    mail: Mail = lambda _to, _subject, _text, _password: False
    jitter: Callable[[], float] = random.random
    max_machine_size: Size = MAX_SIZE
    invoke_background: Callable[[BackgroundEvent], None] | None = None
    launch_delay: Callable[[int], float] = lambda _number: 0.0
    cache_bytes: int = 300 << 20
    threads: int = 1
    spot_share: int = 0
    warm: WarmPool = field(default_factory=WarmPool)
    remote_debug: bool = True
    arm: bool = True
    machine_classes: Mapping[str, MachineClass] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict, repr=False)
    references: SecretReferences = field(default_factory=SecretReferences, repr=False)


#: Number of attempts of a write, and the first pause in seconds.
_TRIES = 6


_PAUSE = 0.05


def write_with_retry(cloud: Dependencies, write: Callable[[], R]) -> R:
    """Write a contended record, such as an organisation's counters; raises as `retry_throttled`."""
    pauses = (cloud.jitter() * _PAUSE * 2**attempt for attempt in range(_TRIES))
    return retry_throttled(write, pauses, cloud.sleep)
