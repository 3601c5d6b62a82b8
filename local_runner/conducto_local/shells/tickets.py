"""Tickets for shells in pages, each valid for one shell, once and for a short time.

Browsers send the session's cookie with every WebSocket automatically. So that a WebSocket alone
cannot open a shell, the page first requests a ticket, with a request that pages of other origins
cannot make (`conducto_local.server.auth`).
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from conducto_core.api.pipelines import Pipelines
from conducto_core.errors import RefusedError
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.params import PipelineParams
from conducto_core.model.shells import ShellParams, ShellTicket
from conducto_local.debug.session import hold_shell
from conducto_local.settings import switch_in
from conducto_local.shells.screen import PageScreen
from conducto_local.shells.terminal_socket import Limits, OpenShell, TerminalSocket

VARIABLE = "CONDUCTO_WEB_SHELL"
DEFAULTS = Limits()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A shell with an unused ticket. Its plan has secrets, so it is dropped with the ticket."""

    plan: DebugPlan
    place: str
    timer: asyncio.TimerHandle


class Shells:
    """The shells in pages of one agent."""

    def __init__(
        self, pipelines: Pipelines, limits: Limits = DEFAULTS, hold: OpenShell = hold_shell
    ) -> None:
        self._pipelines = pipelines
        self._limits = limits
        self._hold = hold
        self._waiting: dict[str, _Waiting] = {}
        self._places: list[str] = []

    def planned(self) -> tuple[DebugPlan, ...]:
        """Return the shells with unused tickets."""
        return tuple(one.plan for one in self._waiting.values())

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


def allowed_shells(pipelines: Pipelines, env: Mapping[str, str] = os.environ) -> Shells | None:
    """Return the shells in pages, or None if the agent's environment disables them.

    Raises:
        AgentSettingError: The variable is neither ``on`` nor ``off``.
    """
    return Shells(pipelines) if switch_in(env, VARIABLE, default=True) else None


def _digest(ticket: str) -> str:
    return hashlib.blake2b(ticket.encode(errors="replace"), digest_size=16).hexdigest()
