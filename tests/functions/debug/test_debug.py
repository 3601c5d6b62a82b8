"""Debug shells for nodes of the cloud: a container on the user's machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from chalicelib.people.port import Identity
from chalicelib.secrets.injection import org_scope, user_scope
from conducto_core.debug.model import DebugRequest
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from support.cloud.world import EVERYTHING, ME, STRANGER, World
from support.trees import leaf, serial

if TYPE_CHECKING:
    from conducto_core.debug.model import DebugPlan

COLLEAGUE = Identity(ME.org, "cem", EVERYTHING)


@pytest.fixture
def world() -> World:
    made = World()
    made.vault.write(org_scope(ME.org), {"SHARED": {"value": "of-all"}})
    made.vault.write(user_scope(ME.org, ME.user), {"TOKEN": {"value": "of-ann"}})
    return made


@pytest.fixture
def failed(world: World) -> str:
    """Id of a pipeline with a node that has failed."""
    tree = serial(leaf("build", command="make", __env__A="1"), leaf("test"))
    pipeline_id = world.launch(tree)
    world.serve()
    (worker,) = world.living()
    worker.finish(exit_code=2)
    world.serve()
    return pipeline_id


def plan(world: World, pipeline_id: str, me: Identity = ME, **request: object) -> DebugPlan:
    wanted = DebugRequest(**{"path": "/build", **request})
    return asyncio.run(world.pipelines(me).debug(PipelineParams(id=pipeline_id), wanted))


def test_a_shell_is_like_the_container_of_the_attempt(world: World, failed: str) -> None:
    found = plan(world, failed)

    assert (found.path, found.attempt, found.image, found.pull) == ("/build", 1, "busybox", True)
    assert found.script == "#!/bin/sh\nmake\n"
    assert found.env["A"] == "1"
    assert found.env["CONDUCTO_NODE"] == "/build"
    assert found.env["CONDUCTO_EXECUTION_ENV"] == "debug_cloud"
    assert found.folder is None
    assert found.data == ()


def test_it_says_that_the_data_is_elsewhere_and_how_to_get_it(world: World, failed: str) -> None:
    (note,) = plan(world, failed).notes

    assert f"conducto data get {failed} NAME" in note


def test_secrets_come_apart_from_the_environment(world: World, failed: str) -> None:
    found = plan(world, failed)

    shown = {name: value.get_secret_value() for name, value in found.secrets.items()}
    assert shown == {"SHARED": "of-all", "TOKEN": "of-ann"}
    assert not set(found.secrets) & set(found.env)
    assert "of-ann" not in repr(found)


def test_shell_does_not_contain_secrets_of_colleagues(world: World, failed: str) -> None:
    found = plan(world, failed, COLLEAGUE)

    assert set(found.secrets) == {"SHARED"}
    assert any("commands have those of ann" in note for note in found.notes)


def test_secret_does_not_replace_a_conducto_variable(world: World, failed: str) -> None:
    world.vault.write(user_scope(ME.org, ME.user), {"CONDUCTO_NODE": {"value": "forged"}})

    assert "CONDUCTO_NODE" not in plan(world, failed).secrets


def test_a_command_with_a_secret_in_it_comes_from_the_definition(world: World) -> None:
    pipeline_id = world.launch(leaf("a", command="echo of-ann"))
    world.serve()
    (attempt,) = world.attempts(pipeline_id, "/")
    assert "of-ann" not in attempt.command

    assert plan(world, pipeline_id, path="/").script == "#!/bin/sh\necho of-ann\n"


def test_a_node_that_never_ran_has_a_shell_as_it_is_defined(world: World, failed: str) -> None:
    found = plan(world, failed, path="/test")

    assert (found.attempt, found.script) == (None, "#!/bin/sh\ntrue\n")
    assert found.env["CONDUCTO_ATTEMPT"] == "1"


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"path": "/nothing"}, NotFoundError, "no such node"),
        ({"path": "/"}, RefusedError, "runs no command of its own"),
        ({"attempt": 7}, NotFoundError, r"no attempt 7 \(there are: 1\)"),
        ({"live": True}, RefusedError, "launch the pipeline locally"),
        ({"snapshot": True}, RefusedError, "omit --snapshot"),
    ],
)
def test_nodes_without_a_shell_are_rejected(
    world: World,
    failed: str,
    request_: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        plan(world, failed, **request_)


def test_another_organisation_gets_no_shell(world: World, failed: str) -> None:
    with pytest.raises(NotFoundError):
        plan(world, failed, STRANGER)
