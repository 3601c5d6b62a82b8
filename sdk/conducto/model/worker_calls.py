"""The calls of a worker: where each one lives, what it takes and what it answers.

The worker and the app that serves it both read this table. Paths are below
`conducto.model.calls.API_ROOT`; every call carries the worker's own token, which says which
pipeline, which pool and which worker it is about, so that no path has to name them.
"""

from conducto.model.calls import Operation
from conducto.model.params import NoParams
from conducto.model.worker import (
    MAX_PIECE,
    Claim,
    ClaimAnswer,
    LogPiece,
    LogResponse,
    Nothing,
    Pulse,
    PulseAnswer,
    Report,
    ReportAnswer,
    UploadAnswer,
    WorkerEnd,
    WorkerOrders,
    WorkerStart,
)

#: Bytes of a report's body: a tree above this goes where `UPLOAD` says. API Gateway takes 10 MB
#: and a Lambda 6 MB, in base64.
MAX_REPORT = 4 << 20
#: Bytes of a log piece's body: base64 of `MAX_PIECE`, and the fields around it.
MAX_LOG_BODY = 2 * MAX_PIECE + 4096

START = Operation[NoParams, WorkerStart, WorkerOrders](
    "worker_start", "POST", "/worker/start", NoParams, WorkerStart, WorkerOrders, kept=False
)
CLAIM = Operation[NoParams, Claim, ClaimAnswer](
    "worker_claim",
    "POST",
    "/worker/claim",
    NoParams,
    Claim,
    ClaimAnswer,
    private=True,
    kept=False,
)
PULSE = Operation[NoParams, Pulse, PulseAnswer](
    "worker_pulse", "POST", "/worker/pulse", NoParams, Pulse, PulseAnswer, kept=False
)
LOG = Operation[NoParams, LogPiece, LogResponse](
    "worker_log",
    "POST",
    "/worker/log",
    NoParams,
    LogPiece,
    LogResponse,
    max_body=MAX_LOG_BODY,
    private=True,
    kept=False,
)
REPORT = Operation[NoParams, Report, ReportAnswer](
    "worker_report",
    "POST",
    "/worker/report",
    NoParams,
    Report,
    ReportAnswer,
    max_body=MAX_REPORT,
    private=True,
    kept=False,
)
UPLOAD = Operation[NoParams, None, UploadAnswer](
    "worker_upload", "POST", "/worker/upload", NoParams, None, UploadAnswer, kept=False
)
END = Operation[NoParams, WorkerEnd, Nothing](
    "worker_end", "POST", "/worker/end", NoParams, WorkerEnd, Nothing, kept=False
)

#: Every call, in the order of a worker's life.
WORKER_CALLS = (START, CLAIM, PULSE, LOG, REPORT, UPLOAD, END)
