"""What the cloud side asks of AWS, in small ports; `fakes.cloud` has a fake for each.

Everything a pipeline does is one list of `Entry`, its journal: entry number *n* can be written
once. Who loses that race reads on and decides anew, so any number of Lambdas may serve one
pipeline at the same time. What a pipeline is like follows from its definition and its journal
(`chalicelib.domain.pipeline.CloudPipeline`); the other things in the store are there to be read
quickly.
"""

from chalicelib.ports.errors import (
    AccessDeniedError,
    CapacityError,
    ConflictError,
    PlanLimitError,
    TaskGoneError,
    ThrottledError,
)
from chalicelib.ports.identity import (
    FRAME_LIMIT,
    FREE,
    FULL,
    Connections,
    Identity,
    InUse,
    Orgs,
    Plan,
    SecretVault,
    Share,
    Spender,
    TokenRecord,
    Tokens,
)
from chalicelib.ports.images import Builder, BuildRequest, BuildStatus
from chalicelib.ports.journal import CloudRecord, Entry, Outgoing, Snapshot, Store
from chalicelib.ports.logs import LogKey, LogStore, Stream
from chalicelib.ports.state_machines import StateMachines
from chalicelib.ports.storage import Blobs, DataFiles, FileFacts
from chalicelib.ports.workers import Shell, Shells, TaskEnd, TaskStatus, WorkerFleet, WorkerTask

__all__ = [
    "FRAME_LIMIT",
    "FREE",
    "FULL",
    "AccessDeniedError",
    "Blobs",
    "BuildRequest",
    "BuildStatus",
    "Builder",
    "CapacityError",
    "CloudRecord",
    "ConflictError",
    "Connections",
    "DataFiles",
    "Entry",
    "FileFacts",
    "Identity",
    "InUse",
    "LogKey",
    "LogStore",
    "Orgs",
    "Outgoing",
    "Plan",
    "PlanLimitError",
    "SecretVault",
    "Share",
    "Shell",
    "Shells",
    "Snapshot",
    "Spender",
    "StateMachines",
    "Store",
    "Stream",
    "TaskEnd",
    "TaskGoneError",
    "TaskStatus",
    "ThrottledError",
    "TokenRecord",
    "Tokens",
    "WorkerFleet",
    "WorkerTask",
]
