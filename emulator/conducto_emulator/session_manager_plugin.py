"""A replacement of AWS's ``session-manager-plugin``, with the same arguments but another protocol.

``session-manager-plugin VARIABLE REGION StartSession PROFILE REQUEST ENDPOINT``; ``VARIABLE`` is
the name of an environment variable with the session, as JSON.
"""

import contextlib
import json
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

NAME = "session-manager-plugin"
VERSION = "1.2.707.0"
_ARGUMENTS = 6
_CHUNK = 65_536


def install(folder: Path) -> Path:
    """Install the program into a directory for PATH; return the directory."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / NAME
    here = str(Path(__file__).resolve().parents[1])
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.path.insert(0, {here!r})\n"
        "from conducto_emulator.session_manager_plugin import main\n"
        "sys.exit(main(sys.argv[1:]))\n",
        "utf-8",
    )
    program.chmod(0o755)
    return folder


def main(words: Sequence[str]) -> int:
    """Run the terminal of a session; return the exit code."""
    if list(words) == ["--version"]:
        _say(VERSION)
        return 0
    if len(words) != _ARGUMENTS or words[2] != "StartSession":
        sys.stderr.write(f"{NAME}: unknown arguments\n")
        return 255
    session = json.loads(os.environ[words[0]])
    _say(f"\nStarting session with SessionId: {session['SessionId']}")
    with connect(session["StreamUrl"], max_size=None) as socket:
        socket.send(json.dumps({"TokenValue": session["TokenValue"], **_size()}))
        code = _be_terminal(socket)
    _say(f"\nExiting session with sessionId: {session['SessionId']}.\n")
    return code


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _be_terminal(socket: ClientConnection) -> int:
    # The handler may interrupt the sending of a message, so a thread sends the size.
    changed = threading.Event()
    signal.signal(signal.SIGWINCH, lambda _number, _frame: changed.set())
    for run in (_type, _watch_size):
        threading.Thread(target=run, args=(socket, changed), daemon=True).start()
    with _raw():
        try:
            while True:
                data = socket.recv()
                sys.stdout.buffer.write(data if isinstance(data, bytes) else data.encode())
                sys.stdout.buffer.flush()
        except ConnectionClosed as closed:
            return 0 if closed.rcvd is not None and closed.rcvd.code == 1000 else 255  # noqa: PLR2004


def _type(socket: ClientConnection, _changed: threading.Event) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := os.read(0, _CHUNK):
            socket.send(data)


def _watch_size(socket: ClientConnection, changed: threading.Event) -> None:
    with contextlib.suppress(ConnectionClosed):
        while changed.wait():
            changed.clear()
            socket.send(json.dumps(_size()))


def _size() -> dict[str, Any]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return {"rows": 24, "columns": 80}
    return {"rows": size.lines, "columns": size.columns}


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Pass on every key unprocessed; restore the terminal afterwards."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
