"""A page's terminal for a debug shell: input, output, and flow control."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from conducto_core.model.operations.pipelines import MAX_SHELL_AHEAD, MAX_SHELL_TYPED
from conducto_local.debug.screen import Line
from conducto_local.ports import Stream

#: Maximum size in bytes of a frame that joins several chunks of output.
_FRAME = 64 << 10


class TypedTooMuchError(Exception):
    """The user typed more than the shell reads."""


class PageScreen:
    """A terminal behind a WebSocket; implements `conducto_local.debug.screen.Screen`.

    The shell's output is paused while the page is behind with reading, so that the agent buffers at
    most `MAX_SHELL_AHEAD`.

    Args:
        lines: Size of the terminal, as is ``columns``.

    Attributes:
        on_traffic: Called after each input or output.
    """

    is_terminal = True

    def __init__(self, lines: int, columns: int) -> None:
        self._size = (lines, columns)
        self._changed: Callable[[], None] | None = None
        self._line: Line | None = None
        self._early = b""
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._finished = False
        self._printed = self._taken = 0
        self._paused = False
        self.on_traffic: Callable[[], None] = lambda: None

    # ---- for the page -------------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Pass on input; input before the shell is open is kept for it.

        Raises:
            TypedTooMuchError: The shell is too far behind.
        """
        waiting = len(self._early) if self._line is None else self._line.unsent
        if waiting + len(data) > MAX_SHELL_TYPED:
            raise TypedTooMuchError
        self.on_traffic()
        if self._line is None:
            self._early += data
        elif data:  # empty data would mean the end
            self._line.typed(data)

    def resize(self, lines: int, columns: int) -> None:
        """Set the size."""
        self._size = (lines, columns)
        if self._changed is not None:
            self._changed()

    def taken(self, count: int) -> None:
        """Record the total number of output bytes that the page has processed."""
        self._taken = max(self._taken, min(count, self._printed))
        self._pace()

    async def printed(self) -> bytes:
        """Return new output, or b"" after the shell has ended and all output was returned."""
        while not self._waiting and not self._finished:
            self._news.clear()
            await self._news.wait()
        frame = b""
        while self._waiting and len(frame) + len(self._waiting[0]) <= _FRAME:
            frame += self._waiting.popleft()
        return self._waiting.popleft() if self._waiting and not frame else frame

    def finish(self) -> None:
        """Record the end of the shell."""
        self._finished = True
        self._news.set()

    # ---- for the shell ------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""
        return self._size

    def write(self, _stream: Stream, data: bytes) -> None:
        """Show output."""
        self.on_traffic()
        self._printed += len(data)
        self._waiting.append(data)
        self._news.set()
        self._pace()

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Do nothing: a page passes on every key."""
        yield

    @contextlib.contextmanager
    def resizes(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call ``changed`` after each `resize` while the block runs."""
        self._changed = changed
        try:
            yield
        finally:
            self._changed = None

    def read(self, line: Line) -> None:
        """Start passing on input."""
        self._line = line
        if self._early:
            line.typed(self._early)
            self._early = b""
        self._pace()

    def _pace(self) -> None:
        behind = self._printed - self._taken
        if self._line is None:
            return
        if not self._paused and behind > MAX_SHELL_AHEAD:
            self._paused = True
            self._line.pause()
        elif self._paused and behind <= MAX_SHELL_AHEAD // 2:
            self._paused = False
            self._line.resume()
