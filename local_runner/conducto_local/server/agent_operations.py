"""The operations of the agent itself: its status, its end, and logins."""

import os
from collections.abc import Callable
from pathlib import Path

from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.operation import AnyOperation
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import serves
from conducto_core.errors import RefusedError
from conducto_core.events.operations import EVENT_OPERATIONS
from conducto_core.people.operations import CREATE_TOKEN, LIST_TOKENS, REVOKE_TOKEN
from conducto_core.remote import operations as remote_operations
from conducto_core.remote.operations import AGENT_OPERATIONS
from conducto_core.run import operations as run_operations
from conducto_core.run.model.params import ListParams, StopParams
from conducto_core.run.model.requests import AgentStatus
from conducto_core.run.model.responses import AgentStopping, Login
from conducto_core.schedules.operations import SCHEDULE_OPERATIONS
from conducto_local.agent.files import AgentState
from conducto_local.debug.page import PageShells
from conducto_local.server.auth import CODE_SECONDS, Sessions

#: The operations of a local server.
LOCAL_OPERATIONS: tuple[AnyOperation, ...] = (
    *OPERATIONS,
    *SCHEDULE_OPERATIONS,
    *EVENT_OPERATIONS,
    *AGENT_OPERATIONS,
    CREATE_TOKEN,
    LIST_TOKENS,
    REVOKE_TOKEN,
)
_SHOWN = 3


class AgentOperations:
    """The agent's own operations.

    Args:
        stop: Makes the process stop after the response is sent.
        sessions: Sessions of the web app; None disables logins.
        has_shells: The agent opens debug shells in pages.
    """

    def __init__(
        self,
        pipelines: Pipelines,
        agent: AgentState,
        stop: Callable[[], None],
        sessions: Sessions | None,
        *,
        has_shells: bool,
    ) -> None:
        self._pipelines = pipelines
        self._agent = agent
        self._stop = stop
        self._sessions = sessions
        self._has_shells = has_shells

    @serves(run_operations.AGENT_STATUS)
    async def get_agent(self) -> AgentStatus:
        agent, status = self._agent, await self._pipelines.get_agent()
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

    @serves(remote_operations.STOP_AGENT)
    async def stop_agent(self, params: StopParams) -> AgentStopping:
        """Stop the process; armed pipelines continue with the next one."""
        if params.if_idle:
            await self._refuse_if_busy()
        self._stop()
        return AgentStopping(pid=self._agent.pid)

    async def _refuse_if_busy(self) -> None:
        listed = await self._pipelines.list_pipelines(ListParams())
        busy = [p.pipeline.id for p in listed.pipelines if not p.settled]
        if busy:
            more = f" and {len(busy) - _SHOWN} more" if len(busy) > _SHOWN else ""
            raise RefusedError(
                f"pipelines are running: {', '.join(busy[:_SHOWN])}{more}; wait for them, pause "
                "them with 'conducto pause ID', or stop the agent anyway"
            )

    @serves(remote_operations.LOGIN)
    async def make_login(self) -> Login:
        """Create a login for one browser."""
        if self._sessions is None:
            raise RefusedError("this server has no web app")
        made = self._sessions.new_login()
        url = f"{self._agent.url}/"
        return Login(url=url, code=made.code, form=made.form, seconds=CODE_SECONDS)


def local_servers(
    pipelines: Pipelines,
    agent: AgentState,
    stop: Callable[[], None],
    sessions: Sessions | None = None,
    shells: PageShells | None = None,
    *assistants: object,
) -> tuple[object, ...]:
    """Return the objects that execute `LOCAL_OPERATIONS`.

    The arguments are those of `AgentOperations`; ``shells`` opens debug shells in pages, and
    ``assistants`` execute the operations of and for assistants.
    """
    ours = AgentOperations(pipelines, agent, stop, sessions, has_shells=shells is not None)
    optional = (one for one in (shells, pipelines.schedules) if one is not None)
    return (ours, *optional, *assistants, pipelines)


def resident_bytes() -> int | None:
    """Return this process's resident memory in bytes, or None if it is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
