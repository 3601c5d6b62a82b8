"""Routes that only a local server has: those of the agent itself."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from conducto_core.api.handlers import Call
from conducto_core.api.routes import ROUTES, AnyRoute, Permission, Route, StreamRoute
from conducto_core.errors import RefusedError
from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.operations import pipelines as calls
from conducto_core.model.params import NoParams, StopParams
from conducto_core.model.requests import AgentStatus
from conducto_core.model.responses import AgentStopping, Login
from conducto_core.ports.pipelines import Pipelines
from conducto_local.agent_files import AgentState
from conducto_local.server.sessions import CODE_SECONDS, Sessions
from conducto_local.shells.tickets import Shells

_SHOWN = 3

Collect = Callable[[GcRequest], Awaitable[GcReport]]


def local_routes(
    agent: AgentState,
    stop: Callable[[], None],
    sessions: Sessions | None = None,
    collect: Collect | None = None,
    shells: Shells | None = None,
) -> tuple[AnyRoute, ...]:
    """Return the API's routes with those of this agent.

    Args:
        agent: State of this process.
        stop: Makes the process stop after the response is sent.
        sessions: Sessions of the web app; None disables logins.
        collect: Collects garbage; None disables it.
        shells: Opens debug shells in pages; None disables them.
    """
    us = _Agent(agent, stop, sessions, collect, has_shells=shells is not None)
    ours: list[AnyRoute] = [Route(calls.AGENT_STATUS, Permission.READ, us.get_agent)]
    if shells is not None:
        ours += [
            Route(calls.OPEN_SHELL, Permission.DEBUG, shells.ticket),
            StreamRoute(calls.SHELL, Permission.DEBUG, shells.shell),
        ]
    replaced = {row.operation for row in ours}
    return (
        *(row for row in ROUTES if row.operation not in replaced),
        *ours,
        Route(calls.STOP_AGENT, Permission.AGENT, us.stop_agent),
        Route(calls.GC, Permission.AGENT, us.collect_garbage),
        Route(calls.LOGIN, Permission.AGENT, us.make_login),
    )


class _Agent:
    """Handlers of the agent's own operations; see `local_routes`."""

    def __init__(
        self,
        agent: AgentState,
        stop: Callable[[], None],
        sessions: Sessions | None,
        collect: Collect | None,
        *,
        has_shells: bool,
    ) -> None:
        self._agent = agent
        self._stop = stop
        self._sessions = sessions
        self._collect = collect
        self._has_shells = has_shells

    async def get_agent(self, pipelines: Pipelines, _call: Call[NoParams, None]) -> AgentStatus:
        """Return the status of the process that runs pipelines."""
        agent, status = self._agent, await pipelines.status()
        memory = resident_bytes() if status.memory is None else status.memory
        return status.model_copy(
            update={
                "pid": agent.pid,
                "url": agent.url,
                "version": agent.version,
                "started": agent.started,
                "memory": memory,
                "shell": self._has_shells,
                "app": None if self._sessions is None else agent.url,
            }
        )

    async def stop_agent(self, pipelines: Pipelines, call: Call[StopParams, None]) -> AgentStopping:
        """Stop the process; armed pipelines continue with the next one."""
        if call.params.if_idle:
            await _refuse_if_busy(pipelines)
        self._stop()
        return AgentStopping(pid=self._agent.pid)

    async def make_login(self, _pipelines: Pipelines, _call: Call[NoParams, None]) -> Login:
        """Create a login for one browser."""
        if self._sessions is None:
            raise RefusedError("this server has no web app")
        made = self._sessions.new_login()
        url = f"{self._agent.url}/"
        return Login(url=url, code=made.code, form=made.form, seconds=CODE_SECONDS)

    async def collect_garbage(
        self, _pipelines: Pipelines, call: Call[NoParams, GcRequest]
    ) -> GcReport:
        """Free the resources that no live pipeline needs."""
        if self._collect is None:
            return GcReport(dry_run=call.body.dry_run)
        return await self._collect(call.body)


async def _refuse_if_busy(pipelines: Pipelines) -> None:
    busy = [p.pipeline.id for p in (await pipelines.list()).pipelines if not p.settled]
    if busy:
        more = f" and {len(busy) - _SHOWN} more" if len(busy) > _SHOWN else ""
        raise RefusedError(
            f"pipelines are running: {', '.join(busy[:_SHOWN])}{more}; wait for them, pause them "
            "with 'conducto pause ID', or stop the agent anyway"
        )


def resident_bytes() -> int | None:
    """Return this process's resident memory in bytes, or None if it is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
