"""The terminal protocol: the messages between a debug shell and its client.

The messages are the same for every shell to which Conducto makes the connection:

- **open**, `ShellParams`: a ticket, and the size of the terminal.
- **input** of the client, and **output** of the shell: bytes.
- **resize**, and acknowledged output, `ShellNote`.
- **exit** and **error**, `ShellEnd`: the last message.

There are two encodings. A connection between the client and the machine of the shell has *frames*
(`read_frame`): input and output are binary frames, and records are text frames. Connections through
the cloud have *texts*, because API Gateway carries texts only, and handles those of a connection
concurrently: bytes are in base64, and messages are numbered (`TerminalInput`, `TerminalOutput`).
The frames of a linked agent (`conducto_core.remote.model`) extend these with the id of the shell.

A shell in a container that the command line starts itself uses the engine's connection. One on a
worker of the cloud uses that of AWS (``session-manager-plugin``).
"""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from conducto_core.record import AGENT_PATTERN, Record

#: Maximum bytes of input in one frame, and of input that the shell has not read yet.
MAX_SHELL_FRAME = 64 << 10
MAX_SHELL_TYPED = 1 << 20
#: Bytes of output that a client may lag behind before its shell has to wait.
MAX_SHELL_AHEAD = 256 << 10
#: Bytes of output after which a client acknowledges it.
ACKNOWLEDGE_BYTES = 32 << 10
#: Maximum bytes of input in one text, before base64.
MAX_INPUT = 16 << 10
#: Number of input texts that a client sends without an acknowledgement.
MAX_UNACKED = 4
#: Seconds without another text after which a client sends input without content: API Gateway
#: ends a connection that is idle for ten minutes.
KEEP_ALIVE_SECONDS = 240.0
#: Maximum bytes of a text; API Gateway accepts 32 kB.
_MAX_TEXT = 32_000
#: Maximum lines or columns of a terminal.
_LONGEST = 1000
_END_OF_INPUT = b"\x04"


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
            receives only the first `MAX_SHELL_AHEAD` bytes.
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


def read_frame(message: str | bytes) -> bytes | ShellNote:
    """Return the input or the note in a frame of a client.

    Raises:
        ValueError: It is neither, or too large.
    """
    if len(message) > MAX_SHELL_FRAME:
        raise ValueError(f"a frame may have at most {MAX_SHELL_FRAME} bytes")
    return message if isinstance(message, bytes) else ShellNote.model_validate_json(message)


# ----------------------------------------------------------------------------------------
# Texts: the client sends `OpenRelayedShell` first. One connection has one shell, which ends with
# it. A client joins its input while `MAX_UNACKED` messages are not acknowledged.


class _Text(Record):
    """Bytes in base64, with their position."""

    seq: int = Field(default=0, ge=0)
    b64: str = Field(default="", max_length=_MAX_TEXT, repr=False)

    @property
    def data(self) -> bytes:
        """The bytes; raises `ValueError` if they are not base64."""
        try:
            return base64.b64decode(self.b64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the bytes of a shell are not base64: {error}") from error


class TerminalInput(_Text):
    """Input, or a note about the terminal.

    Attributes:
        seq: Position in the input of the shell, which is reordered by it.
        b64: The input in base64.
    """

    b64: str = Field(default="", max_length=4 * (MAX_INPUT // 3 + 1), repr=False)
    note: ShellNote | None = None


class TerminalOutput(_Text):
    """Output, or the end.

    Attributes:
        seq: Position in the output of the shell, from 0.
        b64: The output in base64.
    """

    end: ShellEnd | None = None


class OpenRelayedShell(Record):
    """The first message of a client.

    Attributes:
        pipeline: For the audit log, as is ``path``.
        params: The agent's ticket, and the size of the terminal.
    """

    terminal: Literal["open"] = "open"
    agent: str = Field(pattern=AGENT_PATTERN)
    pipeline: str = Field(min_length=1, max_length=64)
    path: str = Field(min_length=1, max_length=4096)
    params: ShellParams


class RelayedShellInput(TerminalInput):
    """Input of a client; without content, it keeps the connection open.

    Attributes:
        seq: Position of the message, from 1.
    """

    terminal: Literal["input"] = "input"
    seq: int = Field(ge=1)


class RelayedShellFrame(TerminalOutput):
    """A message of the cloud.

    Attributes:
        terminal: ``opened``: the agent has received the ticket. ``acked``: input was passed on.
            ``output``: of the shell. ``ended``: the last message.
        seq: Number of the acknowledged input, or of the output.
    """

    terminal: Literal["opened", "acked", "output", "ended"]


#: The records of each direction.
CLIENT_TEXTS: tuple[type[Record], ...] = (OpenRelayedShell, RelayedShellInput, ShellNote)
SERVER_TEXTS: tuple[type[Record], ...] = (RelayedShellFrame, ShellEnd)
_MESSAGES: TypeAdapter[OpenRelayedShell | RelayedShellInput] = TypeAdapter(
    Annotated[OpenRelayedShell | RelayedShellInput, Field(discriminator="terminal")]
)


def read_text(text: str) -> OpenRelayedShell | RelayedShellInput:
    """Return a message of a client; raises `ValueError` if it is not valid."""
    return _MESSAGES.validate_json(text)


def encoded(data: bytes) -> str:
    """Return bytes in base64, as texts have them."""
    return base64.b64encode(data).decode()


class NumberedInput:
    """The input of a client that sends texts: numbered, few at once, the rest is joined.

    Implements `conducto_local.debug.terminal.TerminalLine`.

    Args:
        send: Sends a message, in the order of the calls.
    """

    def __init__(self, send: Callable[[RelayedShellInput], None]) -> None:
        self._send = send
        self._typed = bytearray()
        self._note: dict[str, int] = {}
        self._sent = self._unacked = 0
        self._is_open = False

    @property
    def unsent(self) -> int:
        """Number of typed bytes that wait for acknowledgements."""
        return len(self._typed)

    def typed(self, data: bytes) -> None:
        self._typed += data or _END_OF_INPUT
        self._flush()

    def pause(self) -> None:
        """Do nothing: the agent pauses the shell."""

    def resume(self) -> None:
        """Do nothing, as `pause`."""

    def send_facts(self, **values: int) -> None:
        """Send facts about the terminal; later ones replace earlier ones."""
        self._note |= values
        self._flush()

    def start(self) -> None:
        """Start to send: the agent has received the ticket."""
        self._is_open = True
        self._flush()

    def acknowledge(self) -> None:
        """Send the input that waited for an acknowledgement."""
        self._unacked -= 1
        self._flush()

    def keep_alive(self) -> None:
        """Send a message without content if none is under way."""
        if self._is_open and not self._unacked:
            self._post(b"", None)

    def _flush(self) -> None:
        while self._is_open and self._unacked < MAX_UNACKED and (self._typed or self._note):
            data = bytes(self._typed[:MAX_INPUT])
            del self._typed[:MAX_INPUT]
            note = ShellNote.model_validate(self._note) if self._note else None
            self._note = {}
            self._post(data, note)

    def _post(self, data: bytes, note: ShellNote | None) -> None:
        self._sent += 1
        self._unacked += 1
        self._send(RelayedShellInput(seq=self._sent, b64=encoded(data), note=note))


class NumberedOutput:
    """The output that a client has received as texts."""

    def __init__(self) -> None:
        self._next = self._taken = self._acknowledged = 0

    def read(self, message: TerminalOutput) -> bytes:
        """Return new output; b"" if it arrived again over a newer connection of the agent."""
        if message.seq < self._next:
            return b""
        self._next = message.seq + 1
        return message.data

    def processed(self, count: int) -> int | None:
        """Count processed bytes; return the total if it has to be acknowledged now."""
        self._taken += count
        if self._taken - self._acknowledged < ACKNOWLEDGE_BYTES:
            return None
        self._acknowledged = self._taken
        return self._taken
