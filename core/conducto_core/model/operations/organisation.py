"""The operations on an organisation itself, instead of its pipelines; only the cloud has them."""

from conducto_core.model.operations.agents import LINKED_AGENT_OPERATIONS
from conducto_core.model.operations.billing import BILLING_OPERATIONS
from conducto_core.model.operations.github_app import GITHUB_APP_OPERATIONS
from conducto_core.model.operations.operation import AnyOperation
from conducto_core.model.operations.people import PEOPLE_OPERATIONS
from conducto_core.model.operations.sign_in import SIGN_IN_OPERATIONS
from conducto_core.model.operations.triggers import TRIGGER_OPERATIONS

#: All operations of `chalicelib.api.organisation`.
ORGANISATION_OPERATIONS: tuple[AnyOperation, ...] = (
    *PEOPLE_OPERATIONS,
    *SIGN_IN_OPERATIONS,
    *BILLING_OPERATIONS,
    *LINKED_AGENT_OPERATIONS,
    *TRIGGER_OPERATIONS,
    *GITHUB_APP_OPERATIONS,
)
