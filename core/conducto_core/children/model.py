"""Requests of commands that launch pipelines, and the responses to them."""

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.records import Counts
from conducto_core.run.model.states import State


class ChildLaunch(Record):
    """A tree that a command launches, as a child of its attempt.

    Attributes:
        tree: The wire form of the author API: base64 of gzip of JSON.
        run: Run it at once.
    """

    tree: str = Field(repr=False)
    title: str | None = None
    doc: str | None = None
    tags: tuple[str, ...] = ()
    run: bool = True


class FailedNode(Record):
    """A node that failed by itself.

    Attributes:
        reason: The exit code or the cause.
        tail: The end of its output.
    """

    path: str
    reason: str
    tail: str | None = None


class ChildStatus(Record):
    """The state of a child.

    Attributes:
        settled: Nothing runs, is queued or will start by itself.
        failed: The first nodes that failed, once it has settled.
    """

    id: str
    title: str
    state: State
    counts: Counts
    settled: bool
    failed: tuple[FailedNode, ...] = ()
