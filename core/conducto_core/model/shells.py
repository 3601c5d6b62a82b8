"""A debug shell in the web app: how it is opened, and its frames.

`conducto_core.model.operations.pipelines.OPEN_SHELL` returns a ticket;
`conducto_core.model.operations.pipelines.SHELL` is the WebSocket that it opens. Input and output
are raw binary frames. Everything else is a record in a text frame: a `ShellNote` from the client,
and a `ShellEnd` to the client as the last frame.
"""

from pydantic import Field

from conducto_core.model.base import Record

#: Maximum lines or columns of a terminal.
_LONGEST = 1000


class ShellTicket(Record):
    """A ticket that opens a shell's WebSocket, once.

    Attributes:
        attempt: The attempt that the shell reproduces; None for a node that never ran.
        notes: Sentences that the user should read first.
    """

    ticket: str
    seconds: float
    attempt: int | None = None
    notes: tuple[str, ...] = ()


class ShellParams(Record):
    """The ticket of a shell, and the initial size of its terminal."""

    ticket: str = Field(min_length=1, max_length=100)
    lines: int = Field(default=24, ge=1, le=_LONGEST)
    columns: int = Field(default=80, ge=1, le=_LONGEST)


class ShellNote(Record):
    """A message of a client besides its input.

    Attributes:
        lines: New height of the terminal; with ``columns``, its new width.
        taken: Total bytes of output that the client has processed. A client that never sends it
            receives only the first `conducto_core.model.operations.pipelines.MAX_SHELL_AHEAD`
            bytes.
    """

    lines: int | None = Field(default=None, ge=1, le=_LONGEST)
    columns: int | None = Field(default=None, ge=1, le=_LONGEST)
    taken: int | None = Field(default=None, ge=0)


class ShellEnd(Record):
    """The end of a shell; its container is removed.

    Attributes:
        code: The shell's exit code; None if it did not end by itself.
        reason: Reason why it did not.
    """

    code: int | None = None
    reason: str | None = None
