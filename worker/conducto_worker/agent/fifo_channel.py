"""The command server in the user's container, over FIFOs in a shared directory."""

import contextlib
import errno
import os
import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from conducto_core.command.server import (
    READY,
    Finished,
    JobEncoder,
    OutputParser,
    ServerProtocolError,
    Stream,
    settings_line,
)
from conducto_worker.agent.port import BrokenError, Chunk, LostError

_CHUNK = 65_536
_STEP_SECONDS = 0.02
_FIFOS = ("in", "out", "err", "kill")


class FifoCommands:
    """Runs commands in the user's container; implements `conducto_worker.agent.port.Commands`.

    All FIFOs are opened before the first command runs, so that no command can replace them.

    Args:
        folder: The shared directory.
        shell: Path of the shell; None for the best shell of the image.
        workdir: Working directory of the commands; None for the image's default.
    """

    def __init__(
        self, folder: Path, *, shell: str | None = None, workdir: str | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings_line(shell, workdir)
        self._encoder = JobEncoder()
        self._files: dict[str, int] = {}
        self._parser: OutputParser | None = None
        self._nonce = ""
        self._to_write = b""

    def open(self) -> None:
        """Create the FIFOs; replace those of an earlier agent."""
        up = self._folder / "up"
        up.unlink(missing_ok=True)
        run = self._folder / "run"
        run.mkdir(exist_ok=True)
        run.chmod(0o1777)  # the image may run as any user
        for name in _FIFOS:
            path = self._folder / name
            path.unlink(missing_ok=True)
            os.mkfifo(path)
            path.chmod(0o666)
        for name in ("out", "err"):
            self._files[name] = os.open(self._folder / name, os.O_RDONLY | os.O_NONBLOCK)
        # Open at both ends, so that neither process ever blocks on opening it.
        self._files["kill"] = os.open(self._folder / "kill", os.O_RDWR | os.O_NONBLOCK)
        up.touch()

    def wait_ready(self, seconds: float, stopping: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        self._parser = OutputParser(READY)
        while not self._reaches_server():
            if time.monotonic() > end or stopping():
                raise BrokenError("the container of the image did not start; check its log")
            time.sleep(_STEP_SECONDS)
        said = bytearray()
        while self.finished is None:
            if time.monotonic() > end or stopping():
                raise BrokenError(f"the container of the image is not ready: {_shown(said)}")
            try:
                for _, data in self.read(_STEP_SECONDS):
                    said += data
            except LostError as error:
                raise BrokenError(f"the container of the image ended: {_shown(said)}") from error
        self._parser = None
        self._to_write += self._settings

    def begin(self, script: str, env: Mapping[str, str], inputs: str = "") -> None:
        encoded = self._encoder.encode(script, env, inputs)
        self._parser, self._nonce = OutputParser(encoded.nonce), encoded.nonce
        self._to_write += encoded.line

    def read(self, seconds: float) -> list[Chunk]:
        """Return output and frames of the command, waiting for at most ``seconds``."""
        poll = select.poll()
        names = {self._files[name]: name for name in ("out", "err")}
        for number in names:
            poll.register(number, select.POLLIN)
        if self._to_write:
            poll.register(self._files["in"], select.POLLOUT)
        chunks: list[Chunk] = []
        for number, _ in poll.poll(max(0, round(seconds * 1000))):
            if number in names:
                chunks += self._received("stdout" if names[number] == "out" else "stderr", number)
            else:
                self._write()
        return chunks

    @property
    def finished(self) -> Finished | None:
        try:
            return None if self._parser is None else self._parser.finished
        except ServerProtocolError as error:
            raise LostError(str(error)) from error

    def signal(self, name: str) -> None:
        """Send a signal to every process of the running command; a lost signal does no harm."""
        with contextlib.suppress(BlockingIOError):  # no reader: its process was killed
            os.write(self._files["kill"], f"{name} {self._nonce}\n".encode())

    def close(self) -> None:
        """Close the FIFOs; the server exits at the end of its input."""
        for number in self._files.values():
            os.close(number)
        self._files.clear()

    def _reaches_server(self) -> bool:
        try:
            self._files["in"] = os.open(self._folder / "in", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:  # not open for reading yet
                return False
            raise
        return True

    def _received(self, stream: Stream, number: int) -> list[Chunk]:
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            return []
        if not data:
            raise LostError("the container of the image ended")
        if self._parser is None:  # output between commands is dropped
            return []
        try:
            return self._parser.parts(stream, data)
        except ServerProtocolError as error:
            raise LostError(str(error)) from error

    def _write(self) -> None:
        try:
            sent = os.write(self._files["in"], self._to_write[:_CHUNK])
        except BlockingIOError:
            return
        except BrokenPipeError as error:
            raise LostError("the container of the image ended") from error
        self._to_write = self._to_write[sent:]


def _shown(said: bytearray) -> str:
    text = bytes(said[-500:]).decode(errors="replace").strip()
    return text or "it printed nothing"
