"""Freeing what no live pipeline needs: request and answer."""

from typing import Literal

from conducto_core.model.base import Record


class GcRequest(Record):
    """Which it is.

    Attributes:
        dry_run: Only say what would be freed.
    """

    dry_run: bool = False


class GcItem(Record):
    """Something that nobody needs.

    Attributes:
        name: What a person knows it by.
        pipeline: Id of the pipeline it was for, where that is known.
        bytes: Room it takes, as far as is known.
        freed: It is gone.
        note: Why it is not, where it was to be.
    """

    kind: Literal["container", "network", "image", "snapshot", "files", "cache"]
    name: str
    pipeline: str | None = None
    bytes: int = 0
    freed: bool = False
    note: str | None = None


class GcReport(Record):
    """What was found.

    Attributes:
        bytes: Room that was freed, with ``dry_run`` what would be. Images share layers: it can be
            more.
        notes: Sentences on what was not looked at.
    """

    dry_run: bool
    items: tuple[GcItem, ...] = ()
    bytes: int = 0
    notes: tuple[str, ...] = ()
