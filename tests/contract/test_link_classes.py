"""Every operation declares what a linked machine has to allow before it executes it."""

import pytest
from tests.support.wire_schemas import operations

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.responses import Login
from conducto_core.run.operations import CONTROL
from conducto_local.server.agent_operations import LOCAL_OPERATIONS

HELP = (
    "give each row of the table of operations link_class=LinkClass.…: READ only for an operation "
    "that changes nothing, NEVER for one that only the cloud or only the machine itself has, and "
    "AUTHOR for every new one that changes something"
)


@pytest.mark.parametrize("operation", operations().values(), ids=lambda one: one.name)
def test_operation_has_a_link_class_that_fits(operation: AnyOperation) -> None:
    assert isinstance(operation.link_class, LinkClass), f"{operation.name}: {HELP}"
    if not operation.safe:
        assert operation.link_class is not LinkClass.READ, f"{operation.name}: {HELP}"
    if operation.name != CONTROL.name:  # its class depends on the action; see link_policy
        assert operation.link_class is not LinkClass.CONTROL, f"{operation.name}: {HELP}"


def test_operation_that_agents_do_not_have_is_never_relayed() -> None:
    local = {one.name for one in LOCAL_OPERATIONS}
    cloud_only = [one for one in operations().values() if one.name not in local]

    relayed = [one.name for one in cloud_only if one.link_class is not LinkClass.NEVER]
    assert relayed == [], HELP


def test_operation_without_a_link_class_is_rejected() -> None:
    with pytest.raises(TypeError, match="link_class"):
        read("new", "/new", NoParams, Login, "Read.")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="link_class"):
        act("new", "POST /new", NoParams, Login, Permission.READ, "Do.")  # type: ignore[call-arg]
