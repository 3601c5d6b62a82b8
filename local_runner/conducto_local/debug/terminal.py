"""The terminal or the pipes of this process."""

import asyncio
import contextlib
import os
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator

from conducto_local.debug.screen import Line
from conducto_local.ports import Stream

_CHUNK = 64 * 1024


class Terminal:
    """Standard input and output of this process; implements `conducto_local.debug.screen.Screen`.

    Args:
        stdin: File descriptor, as are the others.

    Attributes:
        is_terminal: Whether it is interactive; pipes and files are not.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> None:
        self._stdin = stdin
        self._outputs = {"stdout": stdout, "stderr": stderr}
        self.is_terminal = os.isatty(stdin) and os.isatty(stdout)

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""
        size = os.get_terminal_size(self._outputs["stdout"])
        return size.lines, size.columns

    def write(self, stream: Stream, data: bytes) -> None:
        """Show output; raise OSError if the reader is closed."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._outputs[stream], left) :]

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Pass on every key unprocessed, Ctrl-C included; restore the terminal afterwards."""
        if not self.is_terminal:
            yield
            return
        before = termios.tcgetattr(self._stdin)
        tty.setraw(self._stdin)
        try:
            yield
        finally:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def resizes(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call ``changed`` in the event loop whenever the window is resized."""
        loop = asyncio.get_running_loop()
        if self.is_terminal:
            loop.add_signal_handler(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            if self.is_terminal:
                loop.remove_signal_handler(signal.SIGWINCH)

    def read(self, line: Line) -> None:
        """Start reading; pass on input in the event loop.

        Uses a daemon thread, because a read from a terminal cannot be cancelled.
        """
        loop = asyncio.get_running_loop()

        def follow() -> None:
            data = b"-"
            while data:
                try:
                    data = os.read(self._stdin, _CHUNK)
                except OSError:  # the terminal hung up
                    data = b""
                try:
                    loop.call_soon_threadsafe(line.typed, data)
                except RuntimeError:  # the loop is closed: the shell has ended
                    return

        threading.Thread(target=follow, daemon=True, name="conducto-debug-input").start()
