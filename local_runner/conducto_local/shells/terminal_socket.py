"""The WebSocket of a debug shell: its messages and its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, Self

from conducto_core.model.debug import DebugPlan
from conducto_core.model.labels import duration
from conducto_core.model.operations.pipelines import (
    MAX_SHELL_FRAME,
    MAX_SHELL_IDLE,
    MAX_SHELL_SECONDS,
    MAX_SHELL_TYPED,
    MAX_SHELLS,
)
from conducto_core.model.shells import ShellEnd, ShellNote
from conducto_local.debug.errors import DebugError
from conducto_local.debug.screen import Screen
from conducto_local.ports import EngineError
from conducto_local.shells.screen import PageScreen, TypedTooMuchError

logger = logging.getLogger(__name__)

#: The type of the page's terminal.
TERM = "xterm-256color"
_TOO_MUCH = f"more than {MAX_SHELL_TYPED >> 20} MiB of input were not read by the shell"


class OpenShell(Protocol):
    """Opens a shell and returns its exit code: `conducto_local.debug.session.hold_shell`."""

    def __call__(self, plan: DebugPlan, screen: Screen, *, term: str) -> Awaitable[int]:
        """Open a shell; on cancellation, end it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of shells in pages.

    Attributes:
        shells: Maximum number at the same time.
        ticket: Seconds within which a ticket must be used.
        idle: Seconds without input or output after which a shell ends.
        seconds: Maximum duration of a shell in seconds.
    """

    shells: int = MAX_SHELLS
    ticket: float = 30.0
    idle: float = MAX_SHELL_IDLE
    seconds: float = MAX_SHELL_SECONDS


class TerminalSocket:
    """One shell for one page; a stream and a `conducto_core.api.dispatch.Conversation`.

    The shell opens when the first frame is requested.
    """

    def __init__(
        self,
        plan: DebugPlan,
        screen: PageScreen,
        limits: Limits,
        hold: OpenShell,
        on_closed: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._screen = screen
        self._limits = limits
        self._hold = hold
        self._on_closed = on_closed
        self._shell: asyncio.Task[ShellEnd] | None = None
        self._told = self._closed = False
        self._reason: str | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes | ShellEnd:
        """Return output, and at the end the result of the shell."""
        if self._told:
            raise StopAsyncIteration
        if self._shell is None:
            self._shell = asyncio.create_task(self._be_open())
            self._shell.add_done_callback(lambda _: self._screen.finish())
        printed = await self._screen.printed()
        if printed:
            return printed
        self._told = True
        await asyncio.wait({self._shell})
        return ShellEnd(reason=self._reason) if self._shell.cancelled() else self._shell.result()

    def heard(self, message: str | bytes) -> None:
        """Handle a message of the page: bytes are input, text is a `ShellNote`.

        Raises:
            ValueError: It is neither, or too large.
        """
        if len(message) > MAX_SHELL_FRAME:
            raise ValueError(f"a frame may have at most {MAX_SHELL_FRAME} bytes")
        if isinstance(message, bytes):
            self._type(message)
            return
        note = ShellNote.model_validate_json(message)
        if note.lines is not None and note.columns is not None:
            self._screen.resize(note.lines, note.columns)
        if note.taken is not None:
            self._screen.taken(note.taken)

    async def aclose(self) -> None:
        """End the shell; return when its container is removed."""
        if self._shell is not None:
            self._shell.cancel()
            await asyncio.wait({self._shell})
        if not self._closed:
            self._closed = True
            self._on_closed()

    def _type(self, data: bytes) -> None:
        try:
            self._screen.type(data)
        except TypedTooMuchError:
            self._reason = _TOO_MUCH
            if self._shell is not None:
                self._shell.cancel()

    async def _be_open(self) -> ShellEnd:
        plan = self._plan
        about = {"pipeline": plan.pipeline, "path": plan.path, "attempt": plan.attempt}
        logger.info("shell opens in a page", extra=about)
        try:
            return await self._within_limits()
        except (DebugError, EngineError, OSError) as error:
            return ShellEnd(reason=str(error))
        finally:
            logger.info("shell in a page has ended", extra=about)

    async def _within_limits(self) -> ShellEnd:
        limits, clock = self._limits, asyncio.get_running_loop().time
        whole, quiet = asyncio.timeout(limits.seconds), asyncio.timeout(limits.idle)

        def stay() -> None:
            if not quiet.expired():
                quiet.reschedule(clock() + limits.idle)

        try:
            async with whole, quiet:
                self._screen.on_traffic = stay
                try:
                    return ShellEnd(code=await self._hold(self._plan, self._screen, term=TERM))
                finally:
                    self._screen.on_traffic = lambda: None
        except TimeoutError:
            if quiet.expired():
                return ShellEnd(reason=f"no input or output for {duration(limits.idle)}")
            if whole.expired():
                return ShellEnd(reason=f"the time limit of {duration(limits.seconds)} was reached")
            raise
