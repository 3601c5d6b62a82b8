"""The operations on the linked agents of an organisation, and their pipelines in its lists."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from chalicelib.api.store import TableConnections
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote.links import forget, is_online, is_visible, view_of
from chalicelib.remote.model import AgentKey, AgentRecord
from conducto_core.api import problems
from conducto_core.api.operation import Permission
from conducto_core.api.serve import serves
from conducto_core.approvals.operations import DECIDE_APPROVAL
from conducto_core.errors import NotFoundError
from conducto_core.remote import operations as remote_operations
from conducto_core.remote.model import (
    AgentForgotten,
    LinkedAgent,
    LinkedAgentList,
    LinkedAgentParams,
)
from conducto_core.run.model.requests import PipelineAgent, PipelineSummary


class CloudAgents:
    """The linked agents of one organisation, with the permissions of one caller."""

    def __init__(
        self,
        me: Identity,
        records: Records,
        connections: TableConnections,
        clock: Callable[[], float],
    ) -> None:
        self._me, self._records = me, records
        self._connections, self._clock = connections, clock

    @serves(remote_operations.LIST_AGENTS)
    async def list_agents(self) -> LinkedAgentList:
        found = await asyncio.to_thread(self._records.agents.list_by_id, self._me.org)
        now = self._clock()
        views = (view_of(agent, now) for agent in found)
        return LinkedAgentList(agents=tuple(sorted(views, key=lambda one: (one.host, one.id))))

    @serves(remote_operations.LINKED_AGENT)
    async def get_linked_agent(self, params: LinkedAgentParams) -> LinkedAgent:
        agent = await asyncio.to_thread(self._agent, params.id)
        return view_of(agent, self._clock())

    @serves(remote_operations.FORGET_AGENT)
    async def forget_agent(self, params: LinkedAgentParams) -> AgentForgotten:
        """Remove an agent from the lists, and close its connection."""
        await asyncio.to_thread(self._forget, params.id)
        return AgentForgotten(id=params.id)

    def _forget(self, agent_id: str) -> None:
        agent = self._agent(agent_id)
        if agent.user != self._me.user:
            problems.check_allowed([Permission.MANAGE_ORGANISATION], self._me.permissions)
        forget(self._records, self._connections, self._clock, agent)

    def _agent(self, agent_id: str) -> AgentRecord:
        agent = self._records.agents.find(AgentKey(self._me.org, agent_id))
        if agent is None:
            raise NotFoundError(
                f"{self._me.org} has no linked agent {agent_id!r}; list them with: conducto agents"
            )
        return agent


def reported_summaries(
    records: Records, clock: Callable[[], float], caller: Identity
) -> Iterator[PipelineSummary]:
    """Yield the pipelines of all agents that the caller may see, the newest first."""
    yield from _summaries(
        records,
        clock,
        [one for one in records.agents.list_by_id(caller.org) if is_visible(one, caller)],
    )


def decidable_summaries(
    records: Records, clock: Callable[[], float], caller: Identity
) -> Iterator[PipelineSummary]:
    """Yield the pipelines of the caller's own agents that accept decisions now."""
    if Permission.CHANGE_STATE not in caller.permissions:
        return
    mine = [one for one in records.agents.list_by_id(caller.org) if one.user == caller.user]
    now = clock()
    needed = DECIDE_APPROVAL.link_class
    yield from _summaries(
        records,
        clock,
        [one for one in mine if is_online(one, now) and needed in view_of(one, now).allow],
    )


def _summaries(
    records: Records, clock: Callable[[], float], shown: Sequence[AgentRecord]
) -> Iterator[PipelineSummary]:
    """Yield the pipelines of agents, the newest first."""
    agents = {one.key.id: one for one in shown}
    if not agents:
        return
    org = shown[0].key.org
    now = clock()
    views = {
        id_: PipelineAgent(id=id_, host=one.host, online=is_online(one, now), seen=one.seen)
        for id_, one in agents.items()
    }
    found = [
        PipelineSummary.model_validate_json(one.data).model_copy(update={"agent": views[one.agent]})
        for one in records.agents.summaries(org)
        if one.agent in views
    ]
    yield from sorted(found, key=created, reverse=True)


def created(summary: PipelineSummary) -> float:
    """Return when a pipeline was created."""
    return summary.pipeline.created
