"""Errors of the store.

StoreError                    the store failed; the message says what to do
├── StoreFullError            the disk is full; nothing of the turn was saved
├── DamagedError              what was stored cannot be read
├── StoreLostError            the store is missing or empty, and pipelines exist
├── StoreLockedError          another process has it open
├── StoreVersionError         a newer Conducto wrote it, or it is no store at all
├── UnknownPipelineError      no such pipeline
├── DuplicatePipelineError    its id is taken
└── HistoryError              a bug of ours: the turn would overwrite history or leave a gap
"""

#: What a message about damage ends with.
REPAIR = "Repair it: conducto agent stop, then conducto agent repair"


class StoreError(Exception):
    """The store failed. Nothing of the call that raised it was kept."""


class StoreFullError(StoreError):
    """The disk takes no more; the same call can be repeated once there is room."""


class DamagedError(StoreError):
    """The file, or a record in it, cannot be read; the message names the repair."""


class StoreLostError(StoreError):
    """The store never held a pipeline, but the profile has directories of pipelines."""


class StoreLockedError(StoreError):
    """Another process has the store open.

    Attributes:
        pid: That process, where it is known.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreVersionError(StoreError):
    """The file's schema is not one that this version can read."""


class UnknownPipelineError(StoreError):
    """No pipeline of that id is stored.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} is not in the store")
        self.pipeline_id = pipeline_id


class DuplicatePipelineError(StoreError):
    """A pipeline of that id is stored already.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} is in the store already; choose another id")
        self.pipeline_id = pipeline_id


class HistoryError(StoreError):
    """A turn would overwrite what happened before, or leave a gap in it."""
