"""The operations that only a local agent has: those of its process.

`LOGIN` is also an operation of the cloud, with another permission.
"""

from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.operations.operation import AnyOperation, Permission, act, send
from conducto_core.model.params import NoParams, StopParams
from conducto_core.model.responses import AgentStopping, Login

STOP_AGENT = act(
    "stop_agent",
    "POST /agent/stop",
    StopParams,
    AgentStopping,
    Permission.AGENT,
    "Stop the process; armed pipelines continue with the next one.",
)
GC = send(
    "collect_garbage",
    "POST /agent/gc",
    NoParams,
    GcRequest,
    GcReport,
    Permission.AGENT,
    "Free the resources that no live pipeline needs.",
)
LOGIN = act(
    "make_login",
    "POST /agent/login",
    NoParams,
    Login,
    Permission.AGENT,
    "Create a login for one browser.",
    kept=False,
)

#: All operations of this module.
AGENT_OPERATIONS: tuple[AnyOperation, ...] = (STOP_AGENT, GC, LOGIN)
