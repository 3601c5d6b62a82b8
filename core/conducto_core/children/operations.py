"""The operations of a command with ``launch=True``, which has a token of its own."""

from conducto.wire.launching import MAX_BODY
from conducto_core.api.operation import AnyOperation, LinkClass, Permission, read, send
from conducto_core.children.model import ChildLaunch, ChildStatus
from conducto_core.run.model.params import NoParams, PipelineParams

LAUNCH_CHILD = send(
    "launch_child",
    "POST /children",
    NoParams,
    ChildLaunch,
    ChildStatus,
    Permission.CHILDREN,
    "Launch a pipeline as a child of the caller's attempt.",
    link_class=LinkClass.NEVER,
    max_body=MAX_BODY,
    resumable=True,
)
GET_CHILD = read(
    "get_child",
    "/children/{id}",
    PipelineParams,
    ChildStatus,
    "Return the state of a child of the caller's attempt.",
    link_class=LinkClass.NEVER,
    permission=Permission.CHILDREN,
)

#: All operations of this module.
CHILD_OPERATIONS: tuple[AnyOperation, ...] = (LAUNCH_CHILD, GET_CHILD)
