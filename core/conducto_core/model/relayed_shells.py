"""A debug shell on the machine of a linked agent: the messages between a client and the cloud.

The client requests a ticket from the agent (`conducto_core.model.operations.pipelines.OPEN_SHELL`
with ``agent``), opens the installation's WebSocket, and sends `OpenRelayedShell`. All messages are
JSON texts with ``terminal``. One connection has one shell, which ends with it.

The client numbers its input, because the messages of a connection are handled concurrently, and
joins it while `MAX_UNACKED` messages are not acknowledged. Output has numbers, too: a client
ignores a number that it has. A client that sends no `ShellNote` with ``taken`` gets only the first
`conducto_core.model.operations.pipelines.MAX_SHELL_AHEAD` bytes.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from conducto_core.model.base import Record
from conducto_core.model.relay import AgentId
from conducto_core.model.shells import ShellEnd, ShellNote, ShellParams

#: Maximum bytes of input in one message, before base64.
MAX_INPUT = 16 << 10
#: Number of input messages that a client sends without an acknowledgement.
MAX_UNACKED = 4
#: Seconds without another message after which a client sends input without content: API Gateway
#: ends a connection that is idle for ten minutes.
KEEP_ALIVE_SECONDS = 240.0


class OpenRelayedShell(Record):
    """The first message of a client.

    Attributes:
        pipeline: For the audit log, as is ``path``.
        params: The agent's ticket, and the size of the terminal.
    """

    terminal: Literal["open"] = "open"
    agent: AgentId
    pipeline: str = Field(min_length=1, max_length=64)
    path: str = Field(min_length=1, max_length=4096)
    params: ShellParams


class RelayedShellInput(Record):
    """Input, or a note about the terminal; without both, it keeps the connection open.

    Attributes:
        seq: Position of the message, from 1.
        b64: The input in base64.
    """

    terminal: Literal["input"] = "input"
    seq: int = Field(ge=1)
    b64: str = Field(default="", max_length=4 * (MAX_INPUT // 3 + 1), repr=False)
    note: ShellNote | None = None


class RelayedShellFrame(Record):
    """A message of the cloud.

    Attributes:
        terminal: ``opened``: the agent has received the ticket. ``acked``: input was passed on.
            ``output``: of the shell. ``ended``: the last message.
        seq: Number of the acknowledged input, or of the output, from 0.
        b64: The output in base64.
    """

    terminal: Literal["opened", "acked", "output", "ended"]
    seq: int = 0
    b64: str = Field(default="", repr=False)
    end: ShellEnd | None = None


_MESSAGES: TypeAdapter[OpenRelayedShell | RelayedShellInput] = TypeAdapter(
    Annotated[OpenRelayedShell | RelayedShellInput, Field(discriminator="terminal")]
)


def read_shell_message(text: str) -> OpenRelayedShell | RelayedShellInput:
    """Return a message of a client; raises `ValueError` if it is not valid."""
    return _MESSAGES.validate_json(text)
