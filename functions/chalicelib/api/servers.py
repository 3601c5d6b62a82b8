"""The objects that execute the operations of one caller."""

from collections.abc import Callable

from chalicelib.api.children import CloudChildren
from chalicelib.api.organisation import CloudOrganisation
from chalicelib.api.pipelines import CloudPipelines
from chalicelib.api.schedules import schedule_operations
from chalicelib.api.workers import WorkerApi
from chalicelib.ports.identity import Identity
from chalicelib.services.processor import CommandProcessor
from conducto_core.model.operations.operation import AnyOperation, Permission
from conducto_core.model.operations.organisation import ORGANISATION_OPERATIONS
from conducto_core.model.operations.schedules import SCHEDULE_OPERATIONS


def server_of(
    operation: AnyOperation,
    engine: CommandProcessor,
    caller: Identity,
    begin: Callable[[Identity], None],
) -> object:
    """Return the object that has the method of an operation.

    ``begin`` begins the audit entry of a caller whose organisation only the sign-in knows.
    """
    if operation.permission is Permission.WORKER:
        return WorkerApi(engine, caller)
    if operation.permission is Permission.CHILDREN:
        return CloudChildren(engine, caller)
    if operation in ORGANISATION_OPERATIONS:
        return CloudOrganisation(engine, caller, begin)
    if operation in SCHEDULE_OPERATIONS:
        return schedule_operations(engine, caller)
    return CloudPipelines(engine, caller)
