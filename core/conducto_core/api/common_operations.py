"""The operations that both the agent and the cloud have."""

from conducto_core.activity import operations as activity
from conducto_core.annotations import operations as annotations
from conducto_core.api.operation import AnyOperation, Operation
from conducto_core.approvals import operations as approvals
from conducto_core.assistants import operations as assistants
from conducto_core.billing import operations as billing
from conducto_core.cache import operations as cache
from conducto_core.coverage import operations as coverage
from conducto_core.data import operations as data
from conducto_core.debug import operations as debug
from conducto_core.diagnosis import operations as diagnosis
from conducto_core.logs import operations as logs
from conducto_core.notifications import operations as notifications
from conducto_core.partitions import operations as partitions
from conducto_core.programs import operations as programs
from conducto_core.results import operations as results
from conducto_core.run import operations as run
from conducto_core.secrets import operations as secrets
from conducto_core.services import operations as services
from conducto_core.test_results import operations as test_results

_FEATURES = (
    run,
    activity,
    annotations,
    approvals,
    assistants,
    cache,
    coverage,
    data,
    debug,
    diagnosis,
    logs,
    notifications,
    partitions,
    programs,
    results,
    secrets,
    services,
    test_results,
)
OPERATIONS: tuple[AnyOperation, ...] = (
    *(
        value
        for feature in _FEATURES
        for value in vars(feature).values()
        if isinstance(value, Operation)
    ),
    billing.USAGE,
    billing.COST,
)
