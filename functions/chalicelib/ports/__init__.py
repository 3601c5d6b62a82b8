"""The ports of the cloud target to AWS; `fakes.cloud` has a fake for each.

The journal of a pipeline is its list of `Entry`. Entry number *n* can be written once; a writer
that loses this race rereads the journal and decides again, so any number of Lambdas can serve one
pipeline concurrently. The definition and the journal determine the state of a pipeline
(`chalicelib.domain.pipeline.CloudPipeline`); all other records exist for fast reads.
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
