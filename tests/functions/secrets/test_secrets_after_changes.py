"""User secrets are withheld once somebody else has changed what a pipeline's commands do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.people.port import Identity
from chalicelib.secrets.injection import org_scope, user_scope
from conducto_core.billing.rules import BillingPlan
from conducto_core.debug.model import DebugRequest, RemoteShellRequest
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import DataParams, PipelineParams
from conducto_core.run.model.records import GitOrigin
from conducto_core.run.model.requests import Action, Changes, ControlRequest, LaunchRequest
from conducto_core.run.model.states import Cause
from support.cloud.world import LARGE, ME, World
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

COLLEAGUE = Identity(ME.org, "cem", frozenset({"read", "change_state", "write_data"}))
SHARED = {"SHARED": "of-all"}
ALL = {"SHARED": "of-all", "TOKEN": "of-ann"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(LARGE, folder=tmp_path)
    made.vault.write(org_scope(ME.org), {"SHARED": {"value": "of-all"}})
    made.vault.write(user_scope(ME.org, ME.user), {"TOKEN": {"value": "of-ann"}})
    made.vault.write(user_scope(ME.org, COLLEAGUE.user), {"THEIRS": {"value": "of-cem"}})
    return made


def act(
    world: World, me: Identity, pipeline: str, action: Action, *paths: str, **more: Any
) -> None:
    request = ControlRequest(action=action, paths=paths, **more)
    asyncio.run(world.pipelines(me).control(PipelineParams(id=pipeline), request))


def steal(world: World, me: Identity, pipeline: str, path: str = "/a") -> None:
    """Modify a command to print a secret, and run it again."""
    changes = Changes(command="echo $TOKEN | rev")
    act(world, me, pipeline, Action.MODIFY, path, changes=changes)
    act(world, me, pipeline, Action.RESET, path)
    act(world, me, pipeline, Action.RUN)


def secrets_of(world: World, path: str) -> dict[str, str]:
    """Let workers take commands; return the secrets of the one at ``path``."""
    world.serve()
    job = world.running()[path].job
    assert job is not None
    return {name: value for name, value in job.env.items() if name in (*ALL, "THEIRS")}


def launched(world: World, tree: Any = None) -> str:
    """Launch a pipeline of the owner whose first command has run."""
    pipeline = world.launch(tree or serial(leaf("a"), leaf("b")))
    world.run_out()
    return pipeline


async def _content() -> AsyncIterator[bytes]:
    yield b"echo $TOKEN | rev"


def write_data(world: World, pipeline: str) -> None:
    asyncio.run(
        world.pipelines(COLLEAGUE).write_data(DataParams(id=pipeline, name="script"), _content())
    )


def delete_data(world: World, pipeline: str) -> None:
    asyncio.run(world.pipelines().write_data(DataParams(id=pipeline, name="script"), _content()))
    asyncio.run(world.pipelines(COLLEAGUE).delete_data(DataParams(id=pipeline, name="script")))


def rebuild(world: World, pipeline: str) -> None:
    act(world, COLLEAGUE, pipeline, Action.REBUILD, "/")


def modify_other_node(world: World, pipeline: str) -> None:
    act(world, COLLEAGUE, pipeline, Action.MODIFY, "/b", changes=Changes(mem=3))


def enter_worker(world: World, pipeline: str) -> None:
    request = RemoteShellRequest(path="/a", seconds=60)
    params = PipelineParams(id=pipeline)
    asyncio.run(world.pipelines(COLLEAGUE).open_remote_shell(params, request))


def test_command_changed_by_colleague_runs_without_owners_secrets(world: World) -> None:
    pipeline = launched(world)
    steal(world, COLLEAGUE, pipeline)

    assert secrets_of(world, "/a") == SHARED


def test_owner_changes_commands_and_keeps_secrets(world: World) -> None:
    pipeline = launched(world)
    steal(world, ME, pipeline)

    assert secrets_of(world, "/a") == ALL


@pytest.mark.parametrize(
    "change", [write_data, delete_data, rebuild, modify_other_node, enter_worker]
)
def test_every_change_by_a_colleague_withholds_secrets_of_all_nodes(
    world: World, change: Callable[[World, str], None]
) -> None:
    pipeline = launched(world)
    change(world, pipeline)
    act(world, ME, pipeline, Action.RESET, "/")
    act(world, ME, pipeline, Action.RUN)

    assert secrets_of(world, "/a") == SHARED


@pytest.mark.parametrize("action", [Action.RESET, Action.SKIP, Action.UNSKIP, Action.KILL])
def test_actions_that_change_no_command_keep_secrets(world: World, action: Action) -> None:
    pipeline = launched(world)
    act(world, COLLEAGUE, pipeline, action, "/b")
    act(world, COLLEAGUE, pipeline, Action.RESET, "/a")
    act(world, COLLEAGUE, pipeline, Action.RUN)

    assert secrets_of(world, "/a") == ALL
    assert world.get(pipeline).pipeline.foreign_change is None


def test_attempt_and_pipeline_name_the_user_and_the_change(world: World) -> None:
    pipeline = launched(world)
    steal(world, COLLEAGUE, pipeline)
    world.run_out(lambda _path: None)

    change = world.get(pipeline).pipeline.foreign_change
    assert change is not None
    assert (change.by, change.change, change.time) == ("cem", "modify", world.now)
    first, second = world.attempts(pipeline, "/a")
    assert first.message is None
    assert second.message is not None
    assert "without the user secrets of ann" in second.message
    assert "cem" in second.message


def test_first_foreign_change_is_kept(world: World) -> None:
    pipeline = launched(world)
    write_data(world, pipeline)
    world.now += 5
    steal(world, COLLEAGUE, pipeline)

    change = world.get(pipeline).pipeline.foreign_change
    assert change is not None
    assert (change.change, change.time) == ("write_data", world.now - 5)


def test_workers_that_ran_with_the_secrets_are_replaced(world: World) -> None:
    """Files of the owner's commands in a container, or mounted in it, may contain their secrets."""
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.run_out({"/a": None, "/b": Cause.EXIT_CODE}.get)  # a worker stays after a failure
    before = {hand.id for hand in world.living()}
    assert before
    steal(world, COLLEAGUE, pipeline)
    world.serve()

    assert world.running()["/a"].id not in before
    assert world.running()["/a"].task.user_data is False


@pytest.mark.parametrize("early", [False, True])
def test_claim_with_a_report_starts_no_command_in_a_worker_with_the_secrets(
    world: World, early: bool
) -> None:
    world.orgs.set_plan(ME.org, BillingPlan(max_workers=1, max_pipelines=9, exec_minutes=None))
    pipeline = world.launch(parallel("a", "b", "c"))
    world.serve()
    (hand,) = world.living()
    assert hand.task.user_data
    write_data(world, pipeline)

    hand.finish(early=early)
    world.serve()

    (other,) = world.living()
    assert (other.job is not None, other.task.user_data) == (True, False)
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}


def test_generated_tree_of_changed_lazy_gets_no_secrets(world: World) -> None:
    pipeline = launched_lazy(world)
    steal(world, COLLEAGUE, pipeline, "/Generate")
    assert secrets_of(world, "/Generate") == SHARED
    world.running()["/Generate"].finish(exit_code=0, tree=form(serial(leaf("x"))))

    assert secrets_of(world, "/Execute/x") == SHARED


def test_command_that_ran_before_the_change_is_not_sent_again_with_secrets(world: World) -> None:
    pipeline = world.launch(serial(leaf("a")))
    world.serve()
    hand = world.running()["/a"]
    steal(world, COLLEAGUE, pipeline)

    response = hand.claim(hand.offer)

    assert "TOKEN" not in response.env


def test_another_launcher_gets_no_secrets_of_the_owner(world: World) -> None:
    colleague = Identity(ME.org, "cem", frozenset({"read", "launch", "change_state"}))
    pipeline = launched(world)
    again: LaunchRequest = asyncio.run(
        world.pipelines(colleague).get_definition(PipelineParams(id=pipeline))
    )
    assert "of-ann" not in again.model_dump_json()
    asyncio.run(
        world.pipelines(colleague).launch(again.model_copy(update={"run": True, "owner": "ann"}))
    )

    assert secrets_of(world, "/a") == {"SHARED": "of-all", "THEIRS": "of-cem"}


def test_relaunch_by_the_owner_restores_the_secrets(world: World) -> None:
    pipeline = launched(world)
    steal(world, COLLEAGUE, pipeline)
    world.run_out()
    again: LaunchRequest = asyncio.run(
        world.pipelines().get_definition(PipelineParams(id=pipeline))
    )
    asyncio.run(world.pipelines().launch(again.model_copy(update={"run": True})))

    assert secrets_of(world, "/a") == ALL


def test_debug_shells_have_the_secrets_of_their_user(world: World) -> None:
    pipeline = launched(world)
    steal(world, COLLEAGUE, pipeline)

    mine = asyncio.run(
        world.pipelines(ME).debug(PipelineParams(id=pipeline), DebugRequest(path="/a"))
    )
    theirs = asyncio.run(
        world.pipelines(COLLEAGUE).debug(PipelineParams(id=pipeline), DebugRequest(path="/a"))
    )

    assert set(mine.secrets) == {"SHARED", "TOKEN"}
    assert any("cem" in note for note in mine.notes)
    assert set(theirs.secrets) == {"SHARED", "THEIRS"}


def launched_lazy(world: World) -> str:
    pipeline = world.launch(lazy())
    world.serve()
    world.running()["/Generate"].finish(exit_code=0, tree=form(serial(leaf("x"))))
    world.run_out()
    return pipeline


def test_pull_request_from_a_fork_gets_no_secrets_role_and_shell(
    world: World,
) -> None:
    fork = GitOrigin(
        trigger="app",
        provider="github",
        repository="acme/app",
        section="pr",
        url="https://github.com/eve/app.git",
        branch="x",
        sha="a" * 40,
        untrusted=True,
    )
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    trusted = fork.model_copy(update={"untrusted": False})
    for origin, expected in ((trusted, ALL), (fork, {})):
        launched = asyncio.run(world.pipelines().launch(request, origin=origin))
        assert secrets_of(world, "/a") == expected
        (task,) = (
            each for each in world.fleet.tasks.values() if each.pipeline_id == launched.pipeline.id
        )
        assert (task.user_data, task.named_role) == (origin is trusted, origin is trusted)
        world.run_out(lambda _: None)
    shell = RemoteShellRequest(path="/a")
    with pytest.raises(RefusedError, match="pull request from a fork"):
        asyncio.run(
            world.pipelines().open_remote_shell(PipelineParams(id=launched.pipeline.id), shell)
        )


def test_commands_share_a_read_of_secrets_but_none_gets_values_from_before_it_was_queued() -> None:
    world = World(LARGE)
    world.vault.write(org_scope(ME.org), {"SHARED": {"value": "old"}})
    read = world.vault.read
    places: list[str] = []

    def note(scope: str) -> Any:
        places.append(scope)
        return read(scope)

    world.vault.read = note
    pipeline = world.launch(parallel("a", "b", "c"))
    world.now += 5
    assert secrets_of(world, "/a") == {"SHARED": "old"}
    assert len(world.running()) == 3
    assert sorted(places) == [org_scope(ME.org), user_scope(ME.org, ME.user)]

    world.vault.write(org_scope(ME.org), {"SHARED": {"value": "new"}})
    world.now += 5
    world.running()["/a"].finish()
    act(world, ME, pipeline, Action.RESET, "/a")
    world.now += 5
    assert secrets_of(world, "/a") == {"SHARED": "new"}
