"""Assistants: the limits of their requests, and a command in the container of a failure."""

from typing import Literal

from pydantic import Field

from conducto_core.record import Record

#: Header in which a client of the API names itself, and the maximum length of the name.
CLIENT_HEADER = "Conducto-Client"
MAX_CLIENT = 120
#: The name of one that does not name itself.
AN_ASSISTANT = "an assistant"
#: Maximum requests of an assistant in a minute.
MAX_REQUESTS = 600

#: Maximum bytes of output that one command in the container of a failure returns, of each stream.
MAX_EXEC_OUTPUT = 50_000
MAX_EXEC_COMMAND = 20_000
MAX_EXEC_SECONDS = 120.0


class ExecRequest(Record):
    """A shell command for a container like that of an attempt.

    Attributes:
        attempt: Counted from 1; None is the newest, or the definition if there is none.
        timeout: Seconds after which the command is killed.
        max_bytes: Bytes of each stream that are returned, from its end.
        secrets: Run it with the secrets of the node's commands.
    """

    path: str = Field(max_length=4096)
    command: str = Field(min_length=1, max_length=MAX_EXEC_COMMAND)
    attempt: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=60.0, ge=1, le=MAX_EXEC_SECONDS)
    max_bytes: int = Field(default=8000, ge=1, le=MAX_EXEC_OUTPUT)
    secrets: bool = False


class ExecResult(Record):
    """The end of such a command.

    Attributes:
        code: Its exit code; None if it was killed.
        stdout: The end of its output, as is ``stderr``; bytes that are not UTF-8 are replaced.
        stdout_size: Bytes of its whole output, as is ``stderr_size``.
        timed_out: It was killed after its time.
        kept: The container is that of an earlier command, with the files that this one left.
        files: ``snapshot``: as the failed command left them; ``image``: those of its image.
        withheld: Names of secrets that the node's own command has and this one had not.
        attempt: The attempt that the container reproduces; None for a node that never ran.
        notes: Sentences about the container.
        script: Path of the command of the node in the container.
        waiting: Why the command has not ended yet; the same request continues to wait for it.
    """

    code: int | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_size: int = 0
    stderr_size: int = 0
    seconds: float = 0.0
    timed_out: bool = False
    kept: bool = False
    files: Literal["snapshot", "image"] = "image"
    withheld: tuple[str, ...] = ()
    attempt: int | None = None
    notes: tuple[str, ...] = ()
    script: str = "/conducto/cmd.sh"
    waiting: str | None = None
