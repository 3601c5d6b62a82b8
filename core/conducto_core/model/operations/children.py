"""The operations of a command with ``launch=True``, which has a token of its own."""

from conducto_core.model.children import ChildLaunch, ChildStatus
from conducto_core.model.operations.operation import AnyOperation, Permission, read, send
from conducto_core.model.params import NoParams, PipelineParams

#: Maximum bytes of a request; a gzipped tree of 100,000 nodes has about 4 MB.
MAX_CHILD_BODY = 48 << 20

LAUNCH_CHILD = send(
    "launch_child",
    "POST /children",
    NoParams,
    ChildLaunch,
    ChildStatus,
    Permission.CHILDREN,
    "Launch a pipeline as a child of the caller's attempt.",
    max_body=MAX_CHILD_BODY,
    resumable=True,
)
GET_CHILD = read(
    "get_child",
    "/children/{id}",
    PipelineParams,
    ChildStatus,
    "Return the state of a child of the caller's attempt.",
    permission=Permission.CHILDREN,
)

#: All operations of this module.
CHILD_OPERATIONS: tuple[AnyOperation, ...] = (LAUNCH_CHILD, GET_CHILD)
