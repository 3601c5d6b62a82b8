"""Requests about approvals."""

from typing import Any, Literal

from pydantic import Field

from conducto.wire.approvals import MAX_FIELDS
from conducto_core.record import Record

MAX_COMMENT = 2000
#: Maximum number of approvals in the status of a pipeline, and of characters of their messages: a
#: list of pipelines has all of them.
MAX_WAITING = 20
MAX_SHOWN = 200
#: Maximum number of withdrawn questions that are shown with an approval.
MAX_WITHDRAWN = 5


class ApprovalField(Record):
    """A field of the form of an approval.

    Attributes:
        choices: The values of a ``choice``.
        default: The value if the person gives none; None: they must give one.
    """

    name: str
    type: Literal["text", "integer", "number", "boolean", "choice"] = "text"
    choices: tuple[str, ...] = ()
    default: str | bool | int | float | None = None


class ApprovalView(Record):
    """An approval for display.

    Attributes:
        fields: Its form, whose values are the node's result.
        who: Roles and user ids of the deciders; empty for every user with the permission to
            control the pipeline.
        attempt: Number of the question that waits; None if none does.
        withdrawn: Why earlier questions were withdrawn since the last decision, the oldest first;
            at most the last 5.
    """

    message: str
    who: tuple[str, ...] = ()
    fields: tuple[ApprovalField, ...] = ()
    attempt: int | None = None
    withdrawn: tuple[str, ...] = ()


class WaitingApproval(Record):
    """An approval that waits for a decision, in the status of its pipeline.

    Attributes:
        message: Its start; at most `MAX_SHOWN` characters.
        who: As in `ApprovalView`.
        since: When it was requested, in seconds since the epoch.
        attempt: Number of the question; None in a record of an older version.
        withdrawn: As in `ApprovalView`.
        fields: Number of fields of its form.
    """

    path: str
    message: str
    who: tuple[str, ...] = ()
    since: float
    attempt: int | None = None
    fields: int = 0
    withdrawn: tuple[str, ...] = ()


class DecideApproval(Record):
    """The decision of the caller about an approval.

    Attributes:
        path: The node.
        approve: Whether to approve it; else it is rejected.
        attempt: Number of the attempt that the caller saw; None for the current one, which cannot
            be approved if an earlier question was withdrawn.
        comment: Kept with the attempt.
        values: Values of the form's fields by name; a text is read as a value of the field's type.
    """

    path: str
    approve: bool
    attempt: int | None = Field(default=None, ge=1, le=2**31)
    comment: str | None = Field(default=None, max_length=MAX_COMMENT)
    values: dict[str, Any] = Field(default_factory=dict, max_length=MAX_FIELDS)
