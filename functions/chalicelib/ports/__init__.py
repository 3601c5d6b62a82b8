"""What the cloud side asks of AWS, in small ports; `chalicelib.testing` has a fake for each.

Everything a pipeline does is one list of `Entry`, its journal: entry number *n* can be written
once. Who loses that race reads on and decides anew, so any number of Lambdas may serve one
pipeline at the same time. What a pipeline is like follows from its definition and its journal
(`chalicelib.pipeline.CloudPipeline`); the other things in the store are there to be read quickly.
"""

from chalicelib.ports.errors import (
    AccessDeniedError,
    CapacityError,
    ConflictError,
    PlanLimitError,
    TaskGoneError,
    ThrottledError,
)
from chalicelib.ports.files import Blobs, DataFiles, FileFacts
from chalicelib.ports.fleet import Fleet, Shell, Shells, TaskEnd, TaskLook, WorkerTask
from chalicelib.ports.images import Builder, BuildOrder, BuildStatus
from chalicelib.ports.journal import CloudRecord, Entry, Outgoing, Snapshot, Store
from chalicelib.ports.logs import LogKey, LogStore, Stream
from chalicelib.ports.machines import StateMachines
from chalicelib.ports.people import (
    FRAME_LIMIT,
    FREE,
    FULL,
    Connections,
    Identity,
    InUse,
    KnownToken,
    Orgs,
    Plan,
    SecretVault,
    Share,
    Spender,
    Tokens,
)

__all__ = [
    "FRAME_LIMIT",
    "FREE",
    "FULL",
    "AccessDeniedError",
    "Blobs",
    "BuildOrder",
    "BuildStatus",
    "Builder",
    "CapacityError",
    "CloudRecord",
    "ConflictError",
    "Connections",
    "DataFiles",
    "Entry",
    "FileFacts",
    "Fleet",
    "Identity",
    "InUse",
    "KnownToken",
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
    "TaskLook",
    "ThrottledError",
    "Tokens",
    "WorkerTask",
]
