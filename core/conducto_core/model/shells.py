"""A debug shell in the page: how it is opened, and what goes back and forth.

`conducto_core.model.operations.pipelines.OPEN_SHELL` answers a ticket;
`conducto_core.model.operations.pipelines.SHELL` is the WebSocket that it opens. What is typed and
what is printed goes as binary frames, as it is. Everything else is a record in a text frame: a
`ShellNote` from the client; to it, as the last frame, a `ShellEnd`.
"""

from pydantic import Field

from conducto_core.model.base import Record

#: Lines or columns of a terminal at most.
_LONGEST = 1000


class ShellTicket(Record):
    """What opens a shell's WebSocket, once.

    Attributes:
        seconds: How long it may be used.
        attempt: The attempt that the shell is like; None for a node that never ran.
        notes: Sentences that a person should read first.
    """

    ticket: str
    seconds: float
    attempt: int | None = None
    notes: tuple[str, ...] = ()


class ShellParams(Record):
    """Which shell, and how large its terminal is at first.

    Attributes:
        ticket: From `ShellTicket`.
    """

    ticket: str = Field(min_length=1, max_length=100)
    lines: int = Field(default=24, ge=1, le=_LONGEST)
    columns: int = Field(default=80, ge=1, le=_LONGEST)


class ShellNote(Record):
    """What a client tells beside what is typed.

    Attributes:
        lines: The terminal has another size now, as does ``columns``; both or none.
        taken: Bytes of output that the client has taken in so far, in all. Who never tells is sent
            no more than the first `conducto_core.model.operations.pipelines.MAX_SHELL_AHEAD`.
    """

    lines: int | None = Field(default=None, ge=1, le=_LONGEST)
    columns: int | None = Field(default=None, ge=1, le=_LONGEST)
    taken: int | None = Field(default=None, ge=0)


class ShellEnd(Record):
    """How a shell ended; its container is removed.

    Attributes:
        code: The shell's exit code; None when it did not end by itself.
        reason: Why it did not.
    """

    code: int | None = None
    reason: str | None = None
