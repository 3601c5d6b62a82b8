"""The WebSocket of a debug shell: its messages and its end."""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import serves
from conducto_core.debug import operations as debug_operations
from conducto_core.debug.model import DebugPlan, DebugRequest, ShellTicket
from conducto_core.debug.operations import MAX_SHELL_IDLE, MAX_SHELL_SECONDS, MAX_SHELLS
from conducto_core.debug.terminal import (
    MAX_SHELL_AHEAD,
    MAX_SHELL_TYPED,
    ShellEnd,
    ShellParams,
    read_frame,
)
from conducto_core.errors import RefusedError
from conducto_core.run.model.labels import duration
from conducto_core.run.model.params import PipelineParams
from conducto_local.agent.state_dir import switch_in
from conducto_local.debug.session import hold_shell
from conducto_local.debug.terminal import DebugError, Screen, TerminalLine
from conducto_local.engine.port import EngineError, Stream

# ----------------------------------------------------------------------------------------
# A page's terminal for a debug shell: input, output, and flow control.


#: Maximum size in bytes of a frame that joins several chunks of output.
_FRAME = 64 << 10


class TypedTooMuchError(Exception):
    """The user typed more than the shell reads."""


class PageScreen:
    """A terminal behind a WebSocket; implements `conducto_local.debug.terminal.Screen`.

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
        self._line: TerminalLine | None = None
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
        self._finished = True
        self._news.set()

    # ---- for the shell ------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def write(self, _stream: Stream, data: bytes) -> None:
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
        self._changed = changed
        try:
            yield
        finally:
            self._changed = None

    def read(self, line: TerminalLine) -> None:
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


logger = logging.getLogger(__name__)

#: The type of the page's terminal.
TERM = "xterm-256color"
_TOO_MUCH = f"more than {MAX_SHELL_TYPED >> 20} MiB of input were not read by the shell"


class OpenShell(Protocol):
    """Opens a shell and returns its exit code: `conducto_local.debug.session.hold_shell`."""

    def __call__(self, plan: DebugPlan, screen: Screen, *, term: str) -> Awaitable[int]:
        """Open a shell; on cancellation, end it."""


@dataclass(frozen=True, slots=True)
class ShellLimits:
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
        limits: ShellLimits,
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

    def receive(self, message: str | bytes) -> None:
        """Handle a frame of the page; raises `ValueError` if it is not valid."""
        note = read_frame(message)
        if isinstance(note, bytes):
            try:
                self._screen.type(note)
            except TypedTooMuchError:
                self._reason = _TOO_MUCH
                if self._shell is not None:
                    self._shell.cancel()
            return
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

        def postpone_end() -> None:
            if not quiet.expired():
                quiet.reschedule(clock() + limits.idle)

        try:
            async with whole, quiet:
                self._screen.on_traffic = postpone_end
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


# ----------------------------------------------------------------------------------------
# Tickets for shells in pages, each valid for one shell, once and for a short time.
#
# Browsers send the session's cookie with every WebSocket automatically. So that a WebSocket alone
# cannot open a shell, the page first requests a ticket, with a request that pages of other origins
# cannot make (`conducto_local.server.auth`).


VARIABLE = "CONDUCTO_WEB_SHELL"
DEFAULTS = ShellLimits()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A shell with an unused ticket. Its plan has secrets, so it is dropped with the ticket."""

    plan: DebugPlan
    place: str
    timer: asyncio.TimerHandle


class PageShells:
    """The shells in pages of one agent."""

    def __init__(
        self, pipelines: Pipelines, limits: ShellLimits = DEFAULTS, hold: OpenShell = hold_shell
    ) -> None:
        self._pipelines = pipelines
        self._limits = limits
        self._hold = hold
        self._waiting: dict[str, _Waiting] = {}
        self._places: list[str] = []

    def planned(self) -> tuple[DebugPlan, ...]:
        return tuple(one.plan for one in self._waiting.values())

    @serves(debug_operations.OPEN_SHELL)
    async def open_shell(self, params: PipelineParams, request: DebugRequest) -> ShellTicket:
        """Return a ticket for a debug shell in the page.

        Raises:
            NotFoundError, RefusedError: The shell is not possible, or there are too many.
            EngineError: The engine is unreachable.
        """
        place = f"{params.id} {request.path}"
        if len(self._places) >= self._limits.shells:
            raise RefusedError(
                f"{request.path}: {self._limits.shells} shells are open in pages, the maximum "
                f"({', '.join(self._places)}); end one of them, or open this one with "
                "'conducto debug'"
            )
        self._places.append(place)
        try:
            plan = await self._pipelines.debug(params, request)
        except BaseException:
            self._places.remove(place)
            raise
        ticket, loop = secrets.token_urlsafe(24), asyncio.get_running_loop()
        key = _digest(ticket)
        timer = loop.call_later(self._limits.ticket, self._forget, key)
        self._waiting[key] = _Waiting(plan, place, timer)
        return ShellTicket(
            ticket=ticket, seconds=self._limits.ticket, attempt=plan.attempt, notes=plan.notes
        )

    @serves(debug_operations.SHELL)
    async def shell(self, params: ShellParams) -> TerminalSocket:
        """Open the debug shell of a ticket; return its output and result.

        Raises:
            RefusedError: The ticket is invalid or expired.
        """
        waiting = self._waiting.pop(_digest(params.ticket), None)
        if waiting is None:
            raise RefusedError(
                f"the ticket was used before, or is older than {self._limits.ticket:g} seconds; "
                "request a new one"
            )
        waiting.timer.cancel()
        screen = PageScreen(params.lines, params.columns)
        leave = partial(self._places.remove, waiting.place)
        return TerminalSocket(waiting.plan, screen, self._limits, self._hold, leave)

    def _forget(self, key: str) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._places.remove(waiting.place)


def allowed_shells(pipelines: Pipelines, env: Mapping[str, str] = os.environ) -> PageShells | None:
    """Return the shells in pages, or None if the agent's environment disables them.

    Raises:
        AgentSettingError: The variable is neither ``on`` nor ``off``.
    """
    return PageShells(pipelines) if switch_in(env, VARIABLE, default=True) else None


def _digest(ticket: str) -> str:
    return hashlib.blake2b(ticket.encode(errors="replace"), digest_size=16).hexdigest()
