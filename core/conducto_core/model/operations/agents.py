"""The operations on linked agents; only the cloud's API has them.

To use an operation of an agent, a client adds `AGENT_PARAMETER` to the query of its route.
"""

from conducto_core.model import agents as m
from conducto_core.model.operations.operation import AnyOperation, LinkClass, Permission, act, read
from conducto_core.model.params import NoParams

#: Query parameter with the id of the agent that a request is for.
AGENT_PARAMETER = "agent"

LIST_AGENTS = read(
    "list_agents",
    "/agents",
    NoParams,
    m.LinkedAgentList,
    "List the linked agents of the organisation.",
    link_class=LinkClass.NEVER,
)
LINKED_AGENT = read(
    "get_linked_agent",
    "/agents/{id}",
    m.LinkedAgentParams,
    m.LinkedAgent,
    "Return one linked agent.",
    link_class=LinkClass.NEVER,
)
FORGET_AGENT = act(
    "forget_agent",
    "DELETE /agents/{id}",
    m.LinkedAgentParams,
    m.AgentForgotten,
    Permission.AGENT,
    "Remove an agent from the lists; members may remove only their own.",
    link_class=LinkClass.NEVER,
)

#: All operations of this module.
LINKED_AGENT_OPERATIONS: tuple[AnyOperation, ...] = (LIST_AGENTS, LINKED_AGENT, FORGET_AGENT)
