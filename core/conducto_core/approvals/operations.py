"""The operations on approvals."""

from conducto_core.api.operation import LinkClass, Permission, read, send
from conducto_core.approvals.model import DecideApproval
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.responses import ApprovalList

APPROVALS = read(
    "list_approvals",
    "/approvals",
    p.NoParams,
    ApprovalList,
    "List the approvals that wait for a decision of the caller, the oldest first.",
    link_class=LinkClass.READ,
)
DECIDE_APPROVAL = send(
    "decide_approval",
    "POST /pipelines/{id}/approval",
    p.PipelineParams,
    DecideApproval,
    AttemptRecord,
    Permission.CHANGE_STATE,
    "Approve or reject a node that waits for a person.",
    link_class=LinkClass.AUTHOR,
)
