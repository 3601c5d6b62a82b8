"""The operations that only a local agent has: those of its process.

`LOGIN` is also an operation of the cloud, with another permission.
"""

from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.operations.operation import AnyOperation, LinkClass, Permission, act, send
from conducto_core.model.params import NoParams, StopParams
from conducto_core.model.responses import AgentStopping, Login

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
