"""The operations on linked agents; only the cloud's API has them.

To use an operation of an agent, a client adds `AGENT_PARAMETER` to the query of its route.
"""

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read, send
from conducto_core.installation.model import GcReport, GcRequest
from conducto_core.remote import model as m
from conducto_core.run.model.params import NoParams, StopParams
from conducto_core.run.model.responses import AgentStopping, Login

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


# ----------------------------------------------------------------------------------------
# The operations that only a local agent has: those of its process.
#
# `LOGIN` is also an operation of the cloud, with another permission.


STOP_AGENT = act(
    "stop_agent",
    "POST /agent/stop",
    StopParams,
    AgentStopping,
    Permission.AGENT,
    "Stop the process; armed pipelines continue with the next one.",
    link_class=LinkClass.NEVER,
)
GC = send(
    "collect_garbage",
    "POST /agent/gc",
    NoParams,
    GcRequest,
    GcReport,
    Permission.AGENT,
    "Free the resources that no live pipeline needs.",
    link_class=LinkClass.NEVER,
)
LOGIN = act(
    "make_login",
    "POST /agent/login",
    NoParams,
    Login,
    Permission.AGENT,
    "Create a login for one browser.",
    link_class=LinkClass.NEVER,
    kept=False,
)

#: All operations of this module.
AGENT_OPERATIONS: tuple[AnyOperation, ...] = (STOP_AGENT, GC, LOGIN)
