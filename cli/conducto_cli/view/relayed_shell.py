"""``conducto debug a/AGENT/ID``: this terminal becomes that of a shell on a linked machine."""

import asyncio
import base64
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from conducto_cli.exit_codes import FAILED
from conducto_cli.text.text import printable
from conducto_client import StreamLostError
from conducto_client.agents import split
from conducto_client.cloud_transport import CloudClient
from conducto_client.network import tls_context
from conducto_client.transport import Endpoint
from conducto_client.websocket import protocol_logger
from conducto_core.model.base import Record
from conducto_core.model.debug import DebugRequest
from conducto_core.model.operations.operation import SUBPROTOCOL, TOKEN_SUBPROTOCOL
from conducto_core.model.operations.pipelines import OPEN_SHELL
from conducto_core.model.params import PipelineParams
from conducto_core.model.relayed_shells import (
    KEEP_ALIVE_SECONDS,
    MAX_INPUT,
    MAX_UNACKED,
    OpenRelayedShell,
    RelayedShellFrame,
    RelayedShellInput,
)
from conducto_core.model.shells import ShellEnd, ShellNote, ShellParams
from conducto_local.debug.terminal import Terminal

#: Bytes of output between two notes to the agent, which pauses a shell that is far ahead.
_NOTE_EVERY = 32 << 10
_END_OF_INPUT = b"\x04"
_LOST = ShellEnd(reason="the connection was lost")


class RelayedInput:
    """The input of a shell: few messages at once, because the cloud handles them concurrently.

    Implements `conducto_local.debug.screen.Line`.
    """

    def __init__(self) -> None:
        self.messages: asyncio.Queue[RelayedShellInput] = asyncio.Queue()
        self._typed = bytearray()
        self._note: dict[str, int] = {}
        self._sent = self._unacked = 0
        self._is_open = False

    @property
    def unsent(self) -> int:
        """Number of typed bytes that wait for acknowledgements."""
        return len(self._typed)

    def typed(self, data: bytes) -> None:
        """Send input; b"" is its end."""
        self._typed += data or _END_OF_INPUT
        self._flush()

    def pause(self) -> None:
        """Do nothing: the agent pauses the shell."""

    def resume(self) -> None:
        """Do nothing, as `pause`."""

    def note(self, **values: int) -> None:
        """Send facts about the terminal; later ones replace earlier ones."""
        self._note |= values
        self._flush()

    def start(self) -> None:
        """Start to send: the agent has received the ticket."""
        self._is_open = True
        self._flush()

    def acknowledge(self) -> None:
        """Record an acknowledgement, and send the next input."""
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
        b64 = base64.b64encode(data).decode()
        self.messages.put_nowait(RelayedShellInput(seq=self._sent, b64=b64, note=note))


def open_relayed_shell(
    client: CloudClient, reference: str, request: DebugRequest, terminal: Terminal | None = None
) -> int:
    """Open a shell on the machine of an agent; return its exit code.

    Raises:
        ApiError: The machine or the installation refuses it.
        StreamLostError: The connection cannot be opened.
    """
    screen = Terminal() if terminal is None else terminal
    params = PipelineParams(id=reference)
    ticket = client.call(OPEN_SHELL, params, request)
    for note in ticket.notes:
        print(f"note: {printable(note)}", file=sys.stderr, flush=True)
    agent, pipeline = split(reference)
    lines, columns = screen.size if screen.is_terminal else (24, 80)
    opening = OpenRelayedShell(
        agent=agent or "",
        pipeline=pipeline,
        path=request.path,
        params=ShellParams(ticket=ticket.ticket, lines=lines, columns=columns),
    )
    end = asyncio.run(_talk(client.socket(), opening, screen))
    if end.code is not None:
        return end.code
    print(f"conducto: the shell ended: {printable(end.reason or 'unknown')}", file=sys.stderr)
    return FAILED


async def _talk(endpoint: Endpoint, opening: Record, screen: Terminal) -> ShellEnd:
    words = (SUBPROTOCOL, TOKEN_SUBPROTOCOL + endpoint.token)
    tls = tls_context() if endpoint.url.startswith("wss:") else None
    protocols = [Subprotocol(word) for word in words]
    try:
        async with connect(
            endpoint.url, subprotocols=protocols, ssl=tls, max_size=None, logger=protocol_logger
        ) as socket:
            await socket.send(opening.model_dump_json())
            line = RelayedInput()

            async def send() -> None:
                while True:
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                            message = await line.messages.get()
                    except TimeoutError:
                        line.keep_alive()
                    else:
                        await socket.send(message.model_dump_json())

            def resized() -> None:
                lines, columns = screen.size
                line.note(lines=lines, columns=columns)

            sending = asyncio.create_task(send())
            try:
                with screen.raw(), screen.resizes(resized):
                    screen.read(line)
                    return await _show(socket, line, screen)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    except ConnectionClosed:
        return _LOST
    except (InvalidHandshake, OSError) as error:
        raise StreamLostError(str(error)) from error


async def _show(socket: object, line: RelayedInput, screen: Terminal) -> ShellEnd:
    """Show output until the shell ends."""
    following = taken = noted = 0
    async for text in socket:  # type: ignore[attr-defined]
        frame = RelayedShellFrame.model_validate_json(text)
        match frame.terminal:
            case "opened":
                line.start()
            case "acked":
                line.acknowledge()
            case "output":
                if frame.seq < following:  # it arrived again over a newer connection
                    continue
                following = frame.seq + 1
                data = base64.b64decode(frame.b64)
                screen.write("stdout", data)
                taken += len(data)
                if taken - noted >= _NOTE_EVERY:
                    noted = taken
                    line.note(taken=taken)
            case "ended":
                return frame.end or _LOST
    return _LOST
