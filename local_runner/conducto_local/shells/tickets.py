"""Who may open a shell in a page: tickets, each for one shell, once and soon.

A browser sends the session's cookie with a WebSocket by itself. So that a WebSocket alone opens
nothing, a page of ours first asks for a ticket, by a request that pages of others cannot make
(`conducto_local.server.auth`).
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from conducto_core.api.handlers import Call
from conducto_core.errors import RefusedError
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.params import PipelineParams
from conducto_core.model.shells import ShellParams, ShellTicket
from conducto_core.ports.pipelines import Pipelines
from conducto_local.debug.session import hold_shell
from conducto_local.settings import switch_in
from conducto_local.shells.screen import PageScreen
from conducto_local.shells.terminal_socket import Limits, OpenShell, TerminalSocket

VARIABLE = "CONDUCTO_WEB_SHELL"
DEFAULTS = Limits()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A shell that a ticket is out for. The plan holds secrets: it goes when the ticket is old."""

    plan: DebugPlan
    place: str
    timer: asyncio.TimerHandle


class Shells:
    """The shells in pages of one agent.

    Args:
        limits: How many there may be, and for how long.
        hold: Opens one.
    """

    def __init__(self, limits: Limits = DEFAULTS, hold: OpenShell = hold_shell) -> None:
        self._limits = limits
        self._hold = hold
        self._waiting: dict[str, _Waiting] = {}
        self._places: list[str] = []

    def planned(self) -> tuple[DebugPlan, ...]:
        """Return the shells that tickets are out for."""
        return tuple(one.plan for one in self._waiting.values())

    async def ticket(
        self, pipelines: Pipelines, call: Call[PipelineParams, DebugRequest]
    ) -> ShellTicket:
        """A ticket for a debug shell in the page.

        Raises:
            NotFoundError, RefusedError: there can be no such shell, or there are too many.
            EngineError: the engine is gone.
        """
        place = f"{call.params.id} {call.body.path}"
        if len(self._places) >= self._limits.shells:
            raise RefusedError(
                f"{call.body.path}: {self._limits.shells} shells are open in pages, the most there "
                f"may be ({', '.join(self._places)}); end one of them, or open this one by "
                "'conducto debug'"
            )
        self._places.append(place)
        try:
            plan = await pipelines.debug(call.params.id, call.body)
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

    async def shell(self, _pipelines: Pipelines, call: Call[ShellParams, None]) -> TerminalSocket:
        """The debug shell that a ticket is for: what it prints, and how it ended.

        Raises:
            RefusedError: the ticket is not good, or is not any more.
        """
        waiting = self._waiting.pop(_digest(call.params.ticket), None)
        if waiting is None:
            raise RefusedError(
                f"the ticket was used before, or is older than {self._limits.ticket:g} seconds; "
                "ask for a new one"
            )
        waiting.timer.cancel()
        screen = PageScreen(call.params.lines, call.params.columns)
        leave = partial(self._places.remove, waiting.place)
        return TerminalSocket(waiting.plan, screen, self._limits, self._hold, leave)

    def _forget(self, key: str) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._places.remove(waiting.place)


def allowed_shells(env: Mapping[str, str] = os.environ) -> Shells | None:
    """Return the shells in pages that the agent's environment allows; None is none.

    Raises:
        AgentSettingError: the variable holds neither ``on`` nor ``off``.
    """
    return Shells() if switch_in(env, VARIABLE, default=True) else None


def _digest(ticket: str) -> str:
    return hashlib.blake2b(ticket.encode(errors="replace"), digest_size=16).hexdigest()
