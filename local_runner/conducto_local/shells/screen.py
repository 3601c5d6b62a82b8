"""A page's terminal as a debug shell sees it: what is typed, what is printed, and who waits."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from conducto_core.model.operations.pipelines import MAX_SHELL_AHEAD, MAX_SHELL_TYPED
from conducto_local.debug.screen import Line
from conducto_local.ports import Stream

#: Bytes of output that go out as one frame at most, if they come in smaller pieces.
_FRAME = 64 << 10


class TypedTooMuchError(Exception):
    """More was typed than the shell takes."""


class PageScreen:
    """A terminal at the other side of a WebSocket; a `conducto_local.debug.screen.Screen`.

    The shell waits when the page is behind with reading, so that neither side keeps more than
    `MAX_SHELL_AHEAD` and the agent waits for nobody.

    Args:
        lines: Size of the terminal, as is ``columns``.

    Attributes:
        on_traffic: Called when something was typed or printed.
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

    # ---- what the page does -------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Pass on what was typed; what comes before the shell is there is kept for it.

        Raises:
            TypedTooMuchError: the shell is too far behind.
        """
        waiting = len(self._early) if self._line is None else self._line.unsent
        if waiting + len(data) > MAX_SHELL_TYPED:
            raise TypedTooMuchError
        self.on_traffic()
        if self._line is None:
            self._early += data
        elif data:  # without any it would mean the end
            self._line.typed(data)

    def resize(self, lines: int, columns: int) -> None:
        """Take another size."""
        self._size = (lines, columns)
        if self._changed is not None:
            self._changed()

    def taken(self, count: int) -> None:
        """Note how many bytes of the output the page has taken in, in all."""
        self._taken = max(self._taken, min(count, self._printed))
        self._pace()

    async def printed(self) -> bytes:
        """Return output that has come, or b"" once the shell has ended and all was returned."""
        while not self._waiting and not self._finished:
            self._news.clear()
            await self._news.wait()
        frame = b""
        while self._waiting and len(frame) + len(self._waiting[0]) <= _FRAME:
            frame += self._waiting.popleft()
        return self._waiting.popleft() if self._waiting and not frame else frame

    def finish(self) -> None:
        """Note that the shell has ended."""
        self._finished = True
        self._news.set()

    # ---- what the shell does ------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""
        return self._size

    def write(self, _stream: Stream, data: bytes) -> None:
        """Show what came."""
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
        """Begin to pass on what is typed."""
        self._line = line
        if self._early:
            line.typed(self._early)
            self._early = b""
        self._pace()

    def _pace(self) -> None:
        """Let the shell wait, or go on."""
        behind = self._printed - self._taken
        if self._line is None:
            return
        if not self._paused and behind > MAX_SHELL_AHEAD:
            self._paused = True
            self._line.pause()
        elif self._paused and behind <= MAX_SHELL_AHEAD // 2:
            self._paused = False
            self._line.resume()
