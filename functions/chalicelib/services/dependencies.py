"""Everything the cloud side needs from outside, in one place; `chalicelib.bootstrap` makes it."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chalicelib.domain.retry import R, retry_throttled
from chalicelib.ports import (
    Blobs,
    Builder,
    Connections,
    DataFiles,
    LogStore,
    Orgs,
    SecretVault,
    Shells,
    StateMachines,
    Store,
    Tokens,
    WorkerFleet,
)
from conducto_core.model.worker import Credentials
from conducto_core.semantics.asl.partition import MAX_SIZE, Size
from conducto_core.semantics.naming import Site


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The ports, and what is known of the place.

    Attributes:
        site: Where state machines and activities are.
        url: Returns where commands find the API; asked when one starts.
        socket: Returns the URL of the WebSocket that clients follow.
        web_app: Returns the URL of the web app; "" where there is none.
        lend_credentials: Returns credentials with which a worker polls an activity, or None to
            let it use those of its task.
        clock: Seconds since the epoch.
        sleep: Waits so many seconds.
        jitter: A number from 0 to 1, so that who lost a race does not meet again at once.
        most: What one state machine may hold.
        spot_share: Of ten workers, how many may be Spot.
        remote_debug: Debug shells may open on workers.
        services: Variables of commands that say where services are, where not as always.
    """

    store: Store
    logs: LogStore
    blobs: Blobs
    data: DataFiles
    machines: StateMachines
    fleet: WorkerFleet
    vault: SecretVault
    tokens: Tokens
    orgs: Orgs
    connections: Connections
    builder: Builder
    shells: Shells
    site: Site
    url: Callable[[], str] = lambda: ""
    socket: Callable[[], str] = lambda: ""
    web_app: Callable[[], str] = lambda: ""
    lend_credentials: Callable[[str, str], Credentials | None] = lambda _activity, _worker: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    most: Size = MAX_SIZE
    spot_share: int = 0
    remote_debug: bool = True
    services: Mapping[str, str] = field(default_factory=dict, repr=False)


#: How often a write is tried before its error counts, and seconds before the first time again.
_TRIES = 6


_PAUSE = 0.05


def write_with_retry(cloud: Dependencies, write: Callable[[], R]) -> R:
    """Write what many write, such as an organisation's counts; raises as `retry_throttled`."""
    pauses = (cloud.jitter() * _PAUSE * 2**attempt for attempt in range(_TRIES))
    return retry_throttled(write, pauses, cloud.sleep)
