"""The operations of a worker: the path, body and response of each.

The worker and the app that serves it both read this table. Paths are below
`conducto_core.api.operation.API_ROOT`. Every request carries the worker's own token,
which identifies the pipeline, the pool and the worker, so no path has to name them.
"""

from typing import Any

from conducto_core.api.operation import (
    AnyOperation,
    B,
    LinkClass,
    Operation,
    Permission,
    R,
    act,
    send,
)
from conducto_core.run.model.params import NoParams
from conducto_core.workers.model import (
    MAX_CHUNK_DATA,
    Claim,
    ClaimResponse,
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    LogUpload,
    Report,
    ReportResponse,
    UploadResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)

#: Maximum bytes of a report's body: a larger tree is uploaded to the address that `UPLOAD` returns.
#: API Gateway accepts 10 MB and Lambda 6 MB, in base64.
MAX_REPORT = 4 << 20
#: Maximum bytes of a log chunk's body: base64 of `MAX_CHUNK_DATA`, and the other fields.
MAX_LOG_BODY = 2 * MAX_CHUNK_DATA + (64 << 10)


def _call(
    name: str,
    body: type[B],
    response: type[R],
    summary: str,
    permission: Permission = Permission.WORKER,
    **more: Any,
) -> Operation[NoParams, B, R]:
    """Return an operation of a worker; workers repeat requests, and a response is never kept."""
    return send(
        f"worker_{name}",
        f"POST /worker/{name}",
        NoParams,
        body,
        response,
        permission,
        summary,
        link_class=LinkClass.NEVER,
        kept=False,
        **more,
    )


START = _call(
    "start",
    WorkerStart,
    WorkerInstructions,
    "Register a started worker and return its instructions.",
    Permission.START_WORKER,
    private=True,
)
CLAIM = _call(
    "claim", Claim, ClaimResponse, "Decide whether the worker runs an attempt.", private=True
)
HEARTBEAT = _call(
    "heartbeat",
    Heartbeat,
    HeartbeatResponse,
    "Store the latest output and return the instructions for a running command.",
    max_body=MAX_LOG_BODY,
    private=True,
)
LOG = _call(
    "log",
    WorkerLogChunk,
    LogResponse,
    "Store a chunk of output.",
    max_body=MAX_LOG_BODY,
    private=True,
)
LOG_UPLOAD = _call(
    "log_upload", LogUpload, UploadResponse, "Return a URL for the upload of a chunk of output."
)
REPORT = _call(
    "report",
    Report,
    ReportResponse,
    "Record the end of an attempt.",
    max_body=MAX_REPORT,
    private=True,
)
UPLOAD = act(
    "worker_upload",
    "POST /worker/upload",
    NoParams,
    UploadResponse,
    Permission.WORKER,
    "Return a URL for the upload of a generated tree.",
    link_class=LinkClass.NEVER,
    kept=False,
)
END = _call("end", WorkerEnd, EndResponse, "Record the end of a worker.")

#: All operations, in the order of a worker's life.
WORKER_OPERATIONS: tuple[AnyOperation, ...] = (
    START,
    CLAIM,
    HEARTBEAT,
    LOG,
    LOG_UPLOAD,
    REPORT,
    UPLOAD,
    END,
)
