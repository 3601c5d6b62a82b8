"""The calls of a worker: they are in `conducto.model.worker_calls`, which the worker reads too."""

from conducto.model.worker_calls import (
    CLAIM,
    END,
    LOG,
    MAX_LOG_BODY,
    MAX_REPORT,
    PULSE,
    REPORT,
    START,
    UPLOAD,
    WORKER_CALLS,
)

__all__ = [
    "CLAIM",
    "END",
    "LOG",
    "MAX_LOG_BODY",
    "MAX_REPORT",
    "PULSE",
    "REPORT",
    "START",
    "UPLOAD",
    "WORKER_CALLS",
]
