"""The operations of a worker: the path, body and response of each.

The worker and the app that serves it both read this table. Paths are below
`conducto_core.model.operations.pipelines.API_ROOT`. Every request carries the worker's own token,
which identifies the pipeline, the pool and the worker, so no path has to name them.
"""

from conducto_core.model.operations.pipelines import Operation
from conducto_core.model.params import NoParams
from conducto_core.model.worker import (
    MAX_CHUNK,
    Claim,
    ClaimResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    Nothing,
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
#: Maximum bytes of a log chunk's body: base64 of `MAX_CHUNK`, and the other fields.
MAX_LOG_BODY = 2 * MAX_CHUNK + 4096

START = Operation[NoParams, WorkerStart, WorkerInstructions](
    "worker_start", "POST", "/worker/start", NoParams, WorkerStart, WorkerInstructions, kept=False
)
CLAIM = Operation[NoParams, Claim, ClaimResponse](
    "worker_claim",
    "POST",
    "/worker/claim",
    NoParams,
    Claim,
    ClaimResponse,
    private=True,
    kept=False,
)
HEARTBEAT = Operation[NoParams, Heartbeat, HeartbeatResponse](
    "worker_heartbeat",
    "POST",
    "/worker/heartbeat",
    NoParams,
    Heartbeat,
    HeartbeatResponse,
    kept=False,
)
LOG = Operation[NoParams, WorkerLogChunk, LogResponse](
    "worker_log",
    "POST",
    "/worker/log",
    NoParams,
    WorkerLogChunk,
    LogResponse,
    max_body=MAX_LOG_BODY,
    private=True,
    kept=False,
)
REPORT = Operation[NoParams, Report, ReportResponse](
    "worker_report",
    "POST",
    "/worker/report",
    NoParams,
    Report,
    ReportResponse,
    max_body=MAX_REPORT,
    private=True,
    kept=False,
)
UPLOAD = Operation[NoParams, None, UploadResponse](
    "worker_upload", "POST", "/worker/upload", NoParams, None, UploadResponse, kept=False
)
END = Operation[NoParams, WorkerEnd, Nothing](
    "worker_end", "POST", "/worker/end", NoParams, WorkerEnd, Nothing, kept=False
)

#: All operations, in the order of a worker's life.
WORKER_CALLS = (START, CLAIM, HEARTBEAT, LOG, REPORT, UPLOAD, END)
