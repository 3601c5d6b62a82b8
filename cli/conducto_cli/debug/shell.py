"""``conducto debug --remote``: a shell on a worker of the cloud.

AWS's own program carries the input and output; everything around it is here: the worker is
started, waited for, and ended whatever happens to this process but a kill -9, after which the
worker ends by itself.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import TextIO

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from conducto.errors import UsageError
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.text.text import printable
from conducto_client import ApiError, Client, ClientError, StreamLostError
from conducto_client.agents import split
from conducto_client.transport.cloud import CloudClient
from conducto_client.transport.http import protocol_logger, tls_context
from conducto_client.transport.port import Endpoint
from conducto_core.api.operation import SUBPROTOCOL, TOKEN_SUBPROTOCOL
from conducto_core.debug.model import (
    FEWEST_SECONDS,
    MAX_SECONDS,
    DebugRequest,
    RemoteShell,
    RemoteShellEntry,
    RemoteShellRequest,
    ShellSession,
)
from conducto_core.debug.operations import OPEN_SHELL
from conducto_core.debug.terminal import (
    KEEP_ALIVE_SECONDS,
    NumberedInput,
    NumberedOutput,
    OpenRelayedShell,
    RelayedShellFrame,
    RelayedShellInput,
    ShellEnd,
    ShellParams,
)
from conducto_core.record import Record
from conducto_core.run.model.labels import duration
from conducto_core.run.model.params import PipelineParams
from conducto_local.debug.terminal import Terminal

PLUGIN = "session-manager-plugin"
#: Older ones take the key to a session as an argument, which all users of the machine can read.
OLDEST = (1, 2, 497)
_KEY_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_VERSION_SECONDS = 15.0
_ASK_SECONDS = 2.0
#: By how much clocks may differ, and an end be late.
_SLACK_SECONDS = 10.0
_SERVER_ERROR = 500
_SCRIPT = "/conducto/cmd.sh"
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

Enter = Callable[[ShellSession], int]


class _EndedError(Exception):
    """A signal ended this process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def check_time(seconds: float) -> int:
    """Return a time limit in whole seconds; raises `UsageError`."""
    if not FEWEST_SECONDS <= seconds <= MAX_SECONDS:
        raise UsageError(
            f"--time-limit is {duration(seconds)}; it can be from {duration(FEWEST_SECONDS)} to "
            f"{duration(MAX_SECONDS)}"
        )
    return int(seconds)


def find_plugin(env: Mapping[str, str]) -> Enter:
    """Return a function that opens a session on this terminal and returns the plugin's exit code.

    Raises:
        UsageError: the plugin is not installed, or too old.
    """
    program = shutil.which(PLUGIN, path=env.get("PATH"))
    if program is None:
        raise UsageError(
            f"--remote needs AWS's program {PLUGIN!r}, which is not installed here. How to "
            "install it: AWS Systems Manager's user guide, 'Install the Session Manager plugin'. "
            "Without --remote, the shell opens in a container of this machine"
        )
    found = _version(program)
    if found < OLDEST:
        raise UsageError(
            f"{program} is version {_dotted(found)}; --remote needs {_dotted(OLDEST)} or newer. "
            "How to update it: AWS Systems Manager's user guide, 'Install the Session Manager "
            "plugin'"
        )
    return lambda session: _run(program, session, env)


def _version(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(  # noqa: S603  the plugin that PATH names
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{program} does not start: {error}; reinstall it") from error
    found = re.search(r"\d+(?:\.\d+)+", said)
    return tuple(map(int, found.group().split("."))) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version)) or "unknown"


def _run(program: str, session: ShellSession, env: Mapping[str, str]) -> int:
    """Be the session's terminal; its key is in the plugin's environment alone."""
    response = {
        "SessionId": session.session_id,
        "StreamUrl": session.stream_url,
        "TokenValue": session.token.get_secret_value(),
    }
    words = [program, _KEY_VARIABLE, session.region, "StartSession", ""]
    words += [json.dumps({"Target": session.target}), session.endpoint]
    with _typed_signals_are_the_shells():
        done = subprocess.run(  # noqa: S603  the same
            words, env={**env, _KEY_VARIABLE: json.dumps(response)}, check=False
        )
    return done.returncode


@contextlib.contextmanager
def _typed_signals_are_the_shells() -> Iterator[None]:
    """Let the keys that interrupt or quit mean nothing here; the plugin takes them in."""
    numbers = (signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remote_shell(
    client: Client,
    pipeline_id: str,
    request: RemoteShellRequest,
    enter: Enter,
    *,
    wait: Callable[[float], None] = time.sleep,
    tell: TextIO | None = None,
) -> int:
    """Open a shell on a worker and return when it is over.

    Args:
        wait: Returns after so many seconds.
        tell: Receives messages for the user; None: standard error.

    Returns:
        ``DONE`` when the session ended in good order (AWS does not pass on the shell's own exit
        code), 128 + signal when a signal ended this process.

    Raises:
        ClientError: the cloud refused it, or it was lost.
    """
    out = _Teller(sys.stderr if tell is None else tell)
    try:
        with _signals_end():
            shell = client.open_remote_shell(pipeline_id, request)
            try:
                return _visit(client, shell, enter, wait, out)
            finally:
                out.clear()
                _end(client, shell, out)
    except _EndedError as ended:
        return 128 + ended.number


def _visit(
    client: Client,
    shell: RemoteShell,
    enter: Enter,
    wait: Callable[[float], None],
    out: "_Teller",
) -> int:
    for note in shell.notes:
        out.print_line(f"note: {printable(note)}")
    session = _session(client, shell, wait, out)
    which = "never ran" if shell.attempt is None else f"attempt {shell.attempt}"
    left = duration(shell.until - time.time())
    out.print_line(f"{printable(shell.path)} ({which}) on a worker with {printable(shell.image)}")
    out.print_line(f"Run its command: {_SCRIPT}    Leave: exit    It ends by itself in {left}")
    code = enter(session)
    if time.time() >= shell.until - _SLACK_SECONDS:
        out.print_line("its time was over; --time-limit gives the next one more")
    elif code != 0:
        out.print_line(f"conducto: {PLUGIN} ended with exit code {code}")
    return DONE if code == 0 else FAILED


def _session(
    client: Client, shell: RemoteShell, wait: Callable[[float], None], out: "_Teller"
) -> ShellSession:
    began = time.monotonic()
    while True:
        entry = _asked(client, shell)
        if entry.session is not None:
            out.clear()
            return entry.session
        out.progress(f"starting a worker: {entry.message}", time.monotonic() - began)
        wait(_ASK_SECONDS)


def _asked(client: Client, shell: RemoteShell) -> RemoteShellEntry:
    try:
        return client.enter_remote_shell(shell)
    except ApiError as error:
        if error.status < _SERVER_ERROR or time.time() >= shell.until:
            raise
        return RemoteShellEntry(state="starting", message="the API is busy")


def _end(client: Client, shell: RemoteShell, out: "_Teller") -> None:
    try:
        client.end_remote_shell(shell)
    except ClientError as error:
        out.print_line(
            f"conducto: could not end the worker ({error}); it ends by itself in some minutes"
        )


@contextlib.contextmanager
def _signals_end() -> Iterator[None]:
    """Leave by `_EndedError` on a signal, so that the shell is ended."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise _EndedError(number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Lines for a person; the newest, on a terminal, is overwritten while the user waits."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._last = ""

    def print_line(self, line: str) -> None:
        self.clear()
        print(line, file=self._stream, flush=True)

    def progress(self, message: str, seconds: float) -> None:
        if self._moves:
            line = f"{printable(message)} ({duration(seconds)})"
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
        elif message != self._last:
            print(printable(message), file=self._stream, flush=True)
        self._last = message

    def clear(self) -> None:
        if self._moves and self._last:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
        self._last = ""


# ----------------------------------------------------------------------------------------
# ``conducto debug a/AGENT/ID``: this terminal becomes that of a shell on a linked machine.


_LOST = ShellEnd(reason="the connection was lost")


def open_relayed_shell(client: CloudClient, reference: str, request: DebugRequest) -> int:
    """Open a shell on the machine of an agent; return its exit code.

    Raises:
        ApiError: The machine or the installation refuses it.
        StreamLostError: The connection cannot be opened.
    """
    screen = Terminal()
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
            messages: asyncio.Queue[RelayedShellInput] = asyncio.Queue()
            line = NumberedInput(messages.put_nowait)

            async def send() -> None:
                while True:
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                            message = await messages.get()
                    except TimeoutError:
                        line.keep_alive()
                    else:
                        await socket.send(message.model_dump_json())

            def resized() -> None:
                lines, columns = screen.size
                line.send_facts(lines=lines, columns=columns)

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


async def _show(socket: object, line: NumberedInput, screen: Terminal) -> ShellEnd:
    """Show output until the shell ends."""
    output = NumberedOutput()
    async for text in socket:  # type: ignore[attr-defined]
        frame = RelayedShellFrame.model_validate_json(text)
        match frame.terminal:
            case "opened":
                line.start()
            case "acked":
                line.acknowledge()
            case "output":
                data = output.read(frame)
                screen.write("stdout", data)
                taken = output.processed(len(data))
                if taken is not None:
                    line.send_facts(taken=taken)
            case "ended":
                return frame.end or _LOST
    return _LOST
