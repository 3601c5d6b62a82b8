"""Garbage collection: deletion of resources that no live pipeline needs."""

from typing import Literal

from conducto_core.model.base import Record


class GcRequest(Record):
    """A request for garbage collection.

    Attributes:
        dry_run: Only report the resources that would be deleted.
    """

    dry_run: bool = False


class GcItem(Record):
    """A resource that is no longer needed.

    Attributes:
        pipeline: Id of the pipeline that used it, if known.
        bytes: Its size, as far as is known.
    """

    kind: Literal["container", "network", "image", "snapshot", "files", "cache"]
    name: str
    pipeline: str | None = None
    bytes: int = 0
    freed: bool = False
    note: str | None = None


class GcReport(Record):
    """The result of a garbage collection.

    Attributes:
        bytes: Bytes that were freed or, with ``dry_run``, would be. Images share layers: the real
            number can differ.
        notes: Sentences about resources that were not checked.
    """

    dry_run: bool
    items: tuple[GcItem, ...] = ()
    bytes: int = 0
    notes: tuple[str, ...] = ()
