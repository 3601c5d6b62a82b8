"""Each target has one handler of each operation, with the types of its row."""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, get_type_hints

import pytest
from tests.fakes.pipelines import MemoryPipelines

from chalicelib.services import HANDLERS
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.downloads import Download
from conducto_core.api.operation import AnyOperation, Bytes
from conducto_core.api.serve import Handlers, handlers_of, serves
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.debug.operations import OPEN_SHELL
from conducto_core.events.handlers import EventOperations
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.remote.operations import GC
from conducto_core.run.model.params import NoParams
from conducto_core.run.operations import EVENTS, IMAGES
from conducto_core.workers.operations import WORKER_OPERATIONS
from conducto_local.assistants.containers import FailureContainers
from conducto_local.assistants.tokens import LocalTokens
from conducto_local.debug.page import PageShells
from conducto_local.run.handlers import LocalPipelines
from conducto_local.server.agent_operations import LOCAL_OPERATIONS, AgentOperations

#: The cloud's streams have a WebSocket API of their own.
STREAMS = {EVENTS.name}
TABLES: list[tuple[tuple[type[Any], ...], Sequence[AnyOperation]]] = [
    ((MemoryPipelines,), (*OPERATIONS, GC)),
    (
        (
            LocalPipelines,
            AgentOperations,
            PageShells,
            EventOperations,
            LocalTokens,
            FailureContainers,
        ),
        LOCAL_OPERATIONS,
    ),
    (
        HANDLERS,
        (*CLOUD_OPERATIONS, *WORKER_OPERATIONS, *CHILD_OPERATIONS, *ORGANISATION_OPERATIONS),
    ),
]
ROWS = [
    (getattr(one, handlers_of(one)[operation.name]), operation)
    for classes, operations in TABLES
    for operation in operations
    for one in classes
    if operation.name in handlers_of(one)
]


@pytest.mark.parametrize(("classes", "operations"), TABLES[1:], ids=["local", "cloud"])
def test_each_operation_has_one_handler_on_each_target(
    classes: tuple[type[Any], ...], operations: Sequence[AnyOperation]
) -> None:
    for operation in operations:
        found = [one for one in classes if operation.name in handlers_of(one)]
        assert len(found) == 1 or (not found and operation.elsewhere is not None), operation.name
    known = {operation.name for operation in operations}
    foreign = {name for one in classes for name in handlers_of(one)} - known
    assert foreign <= STREAMS, foreign


@pytest.mark.parametrize(
    ("method", "operation"), ROWS, ids=lambda value: getattr(value, "name", "")
)
def test_handler_has_the_types_of_its_operation(
    method: Callable[..., Any], operation: AnyOperation
) -> None:
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


class One:
    @serves(IMAGES)
    async def images(self) -> None: ...


class Two(One):
    @serves(IMAGES)
    async def list_images(self) -> None: ...


def test_two_handlers_of_one_operation_are_an_error() -> None:
    with pytest.raises(TypeError, match="Two: two handlers of list_images: images and list_images"):
        handlers_of(Two)
    with pytest.raises(TypeError, match="two servers have a handler of list_images"):
        Handlers(One(), One())


def test_missing_handler_is_an_error_when_the_server_is_assembled() -> None:
    Handlers(One()).check_complete([IMAGES, OPEN_SHELL])  # the second one has a refusal
    with pytest.raises(TypeError, match="no handler of events"):
        Handlers(One()).check_complete([IMAGES, EVENTS])
