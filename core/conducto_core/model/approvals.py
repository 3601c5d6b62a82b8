"""Requests about approvals."""

from pydantic import Field

from conducto_core.model.base import Record

MAX_COMMENT = 2000


class ApprovalView(Record):
    """An approval for display.

    Attributes:
        who: Roles and user ids of the deciders; empty for every user with the permission to
            control the pipeline.
    """

    message: str
    who: tuple[str, ...] = ()


class DecideApproval(Record):
    """The decision of the caller about an approval.

    Attributes:
        path: The node.
        approve: Whether to approve it; else it is rejected.
        attempt: Number of the attempt that the caller saw; None for the current one.
        comment: Kept with the attempt.
    """

    path: str
    approve: bool
    attempt: int | None = Field(default=None, ge=1, le=2**31)
    comment: str | None = Field(default=None, max_length=MAX_COMMENT)
