"""The operation on running and waiting commands."""

from conducto_core.activity.model import Activity, ActivityParams
from conducto_core.api.operation import LinkClass, read

GET_ACTIVITY = read(
    "get_activity",
    "/activity",
    ActivityParams,
    Activity,
    "Return the running and the waiting commands of all pipelines, and the reasons.",
    link_class=LinkClass.READ,
)
