"""The terminal, or the pipes, of this process: what a person types, sees, and how large it is."""

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
    """Standard input and output of a process; a `conducto_local.debug.screen.Screen`.

    Args:
        stdin: File descriptor, as are the others.

    Attributes:
        is_terminal: A person sits there; else these are pipes or files.
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
        """Show what came.

        Raises:
            OSError: nobody reads it any more.
        """
        left = memoryview(data)
        while left:
            left = left[os.write(self._outputs[stream], left) :]

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Pass every key on as it is, Ctrl-C too; put the terminal back at the end."""
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
        """Call ``changed`` in the event loop whenever the window has another size."""
        loop = asyncio.get_running_loop()
        if self.is_terminal:
            loop.add_signal_handler(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            if self.is_terminal:
                loop.remove_signal_handler(signal.SIGWINCH)

    def read(self, line: Line) -> None:
        """Begin to read; pass on what came in the event loop.

        A thread that nobody waits for: a terminal's read cannot be called off.
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
