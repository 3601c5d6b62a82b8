"""Errors of the store.

StoreError                    the store failed; the message has the remedy
├── StoreFullError            the disk is full; the batch was not saved
├── DamagedError              stored data cannot be read
├── StoreLostError            the store is missing or empty, but pipelines exist
├── StoreLockedError          another process has it open
├── StoreVersionError         a newer Conducto wrote it, or it is not a store
├── UnknownPipelineError      no such pipeline
├── DuplicatePipelineError    its id is taken
└── HistoryError              a bug: the batch would overwrite history or leave a gap
"""

import sqlite3

_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
#: The file ends before a page (SQLITE_IOERR_SHORT_READ).
_SHORT_READ = 522
#: Starts of errors about a damaged schema, without a code of their own.
_SCHEMA = (
    "malformed database schema",
    "unsupported file format",
    "no such table",
    "no such column",
    "no such index",
)

#: A part of the problem of a pipeline that cannot be read.
SET_ASIDE = "is set aside"
#: The end of messages about damage.
REPAIR = "Repair it: conducto agent stop, then conducto agent repair"


class StoreError(Exception):
    """The store failed; the call that raised the error had no effect."""


class StoreFullError(StoreError):
    """The disk is full; the same call can be repeated once there is room."""


class DamagedError(StoreError):
    """The file, or a record in it, cannot be read; the message names the repair."""


class StoreLostError(StoreError):
    """The store never had a pipeline, but the profile has directories of pipelines."""


class StoreLockedError(StoreError):
    """Another process has the store open.

    Attributes:
        pid: That process, if it is known.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreVersionError(StoreError):
    """This version cannot read the schema of the file."""


class UnknownPipelineError(StoreError):
    """The store has no pipeline with this id.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} is not in the store")
        self.pipeline_id = pipeline_id


class DuplicatePipelineError(StoreError):
    """The store already has a pipeline with this id.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} already exists in the store; choose another id")
        self.pipeline_id = pipeline_id


class HistoryError(StoreError):
    """A batch would overwrite history or leave a gap in it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite means that the file is damaged."""
    code = getattr(error, "sqlite_errorcode", None)  # missing if SQLite was not called
    if code is None:
        return False
    return code == _SHORT_READ or code & 0xFF in _DAMAGED or str(error).startswith(_SCHEMA)
