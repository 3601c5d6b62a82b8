"""Each server has a method for each operation, with the types of the table."""

import inspect
from collections.abc import AsyncIterator
from typing import Any, get_type_hints

import pytest
from tests.fakes.pipelines import MemoryPipelines

from chalicelib.children.handlers import CloudChildren
from chalicelib.people.handlers import CloudOrganisation
from chalicelib.run.handlers import CloudPipelines
from chalicelib.workers.handlers import WorkerApi
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.downloads import Download
from conducto_core.api.operation import AnyOperation, Bytes
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.remote.operations import AGENT_OPERATIONS, GC
from conducto_core.run.model.params import NoParams
from conducto_core.run.operations import OPERATIONS
from conducto_core.schedules.handlers import ScheduleOperations
from conducto_core.schedules.operations import SCHEDULE_OPERATIONS
from conducto_core.workers.operations import WORKER_OPERATIONS
from conducto_local.debug.page import Shells
from conducto_local.run.handlers import LocalPipelines
from conducto_local.server.agent_operations import AgentOperations

SERVERS: list[tuple[type[Any], ...]] = [
    (MemoryPipelines,),
    (LocalPipelines,),
    (CloudPipelines,),
    (WorkerApi,),
    (CloudChildren,),
    (CloudOrganisation,),
    (AgentOperations, LocalPipelines),
    (Shells, LocalPipelines),
    (ScheduleOperations,),
]
TABLES = {
    MemoryPipelines: (*OPERATIONS, GC),
    LocalPipelines: (*OPERATIONS, GC),
    CloudPipelines: [one for one in CLOUD_OPERATIONS if one not in SCHEDULE_OPERATIONS],
    WorkerApi: WORKER_OPERATIONS,
    CloudChildren: CHILD_OPERATIONS,
    CloudOrganisation: ORGANISATION_OPERATIONS,
    AgentOperations: (*OPERATIONS, *AGENT_OPERATIONS),
    Shells: OPERATIONS,
    ScheduleOperations: SCHEDULE_OPERATIONS,
}
ROWS = [(classes, operation) for classes in SERVERS for operation in TABLES[classes[0]]]


@pytest.mark.parametrize(
    ("classes", "operation"), ROWS, ids=lambda value: getattr(value, "name", "")
)
def test_server_has_the_method_with_the_types_of_the_operation(
    classes: tuple[type[Any], ...], operation: AnyOperation
) -> None:
    name = operation.executed_by or operation.name
    method = next(getattr(one, name) for one in classes if hasattr(one, name))
    hints = get_type_hints(inspect.unwrap(method))

    returned = hints.pop("return")
    given = [
        hints[parameter] for parameter in inspect.signature(method).parameters if parameter in hints
    ]

    if operation.params is not NoParams:
        assert issubclass(operation.params, given.pop(0))
    if operation.body is not None:
        assert given.pop(0) == (AsyncIterator[bytes] if operation.body is Bytes else operation.body)
    if operation.is_download:
        assert returned is Download
    elif not operation.is_stream:
        assert returned is operation.response
    extra = set(inspect.signature(method).parameters) - {"self"}
    assert {"span"} <= extra if operation.is_download else "span" not in extra
    assert ({"key", "repeated"} <= extra) is operation.resumable
