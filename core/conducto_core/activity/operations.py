"""The operation on what runs and what waits."""

from conducto_core.activity.model import Activity, ActivityParams
from conducto_core.api.operation import LinkClass, read

GET_ACTIVITY = read(
    "get_activity",
    "/activity",
    ActivityParams,
    Activity,
    "Return what runs and what waits, over all pipelines, and why.",
    link_class=LinkClass.READ,
)
