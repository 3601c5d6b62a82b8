"""A pipeline in the cloud that continues with a changed script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.images.builds import context_key
from chalicelib.services import Services
from conducto.errors import DefinitionError
from conducto_core.errors import RefusedError
from conducto_core.images.model import ImageSources
from conducto_core.programs.model import ContinuationParams
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.states import Cause
from conducto_core.secrets.model import PutSecrets, SecretKey, SecretValue
from support.cloud.world import ME, World
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from conducto_core.programs.model import ContinuePlan

SCRIPT = "/home/ann/pipeline.py"


@pytest.fixture
def world() -> World:
    return World()


def tree(**commands: str) -> dict[str, Any]:
    return serial(*(leaf(name, command=command) for name, command in commands.items()))


def told(plan: ContinuePlan) -> dict[str, str]:
    return {each.path: each.reason or each.fate.value for each in plan.nodes}


def ran(world: World, written: dict[str, Any], fail: tuple[str, ...] = (), **launch: Any) -> str:
    """Run a tree to its end; return the pipeline."""
    pipeline = world.launch(written, program=SCRIPT, **launch)
    world.run_out(lambda path: Cause.EXIT_CODE if path in fail else None)
    return pipeline


def test_unchanged_nodes_stay_done_with_their_history(world: World) -> None:
    pipeline = ran(world, tree(build="make", test="false", old="true"), fail=("/test",))
    changed = tree(build="make", test="true", report="true")

    preview = world.continue_with(pipeline, changed, program=SCRIPT, preview=True)
    before = world.states(pipeline)
    made = world.continue_with(
        pipeline, changed, program=SCRIPT, run=True, title="second", seq=preview.pipeline.seq
    )
    world.run_out()

    assert before == {"/": "error", "/build": "done", "/test": "error", "/old": "pending"}
    assert told(made) == told(preview)
    assert told(made) == {"/build": "kept", "/test": "command changed", "/report": "new"}
    assert made.removed == ("/old",)
    assert world.get(pipeline).pipeline.title == "second"
    assert world.get(pipeline).pipeline.revision == 1
    assert world.states(pipeline) == dict.fromkeys(["/", "/build", "/test", "/report"], "done")
    assert [a.number for a in world.attempts(pipeline, "/build")] == [1]
    assert [a.number for a in world.attempts(pipeline, "/test")] == [1, 2]
    stored = asyncio.run(world.pipelines().get_definition(PipelineParams(id=pipeline)))
    assert stored.tree == form(changed) | {"machines": {}}
    query = ContinuationParams(id=pipeline, limit=2)
    latest = asyncio.run(world.pipelines().get_continuation(query))
    assert (latest.time, latest.kept, latest.runs, latest.removed) == (world.now, 1, 2, 1)
    assert [each.path for each in latest.nodes] == ["/test", "/report"]


def test_warm_workers_serve_the_new_tree_and_its_execution_is_another_one(world: World) -> None:
    pipeline = ran(world, tree(a="true", b="false"), fail=("/b",))
    workers, first = len(world.fleet.tasks), set(world.machines.executions)

    world.continue_with(pipeline, tree(a="true", b="true"), program=SCRIPT, run=True)
    world.run_out()

    assert len(world.fleet.tasks) == workers
    assert len(set(world.machines.executions) - first) == 1
    assert world.states(pipeline)["/"] == "done"


def test_container_with_the_state_of_the_old_tree_is_stopped(world: World) -> None:
    def group(command: str) -> dict[str, Any]:
        member = leaf("b", command=command, mem=4)
        return serial("a", member, name="g", container_reuse_context="new")

    pipeline = ran(world, serial(group("false")), fail=("/g/b",))
    ((arn, old),) = world.fleet.tasks.items()

    made = world.continue_with(pipeline, serial(group("true")), program=SCRIPT, run=True)
    stopped = list(world.fleet.stopped)
    world.run_out()

    assert told(made) == {
        "/g/a": "shares a container with /g/b, which runs",
        "/g/b": "command changed",
    }
    assert stopped == [arn]
    _, new = world.fleet.tasks.values()
    assert new.pool != old.pool
    assert world.states(pipeline)["/"] == "done"


def test_secrets_and_fresh_decide_as_on_this_machine(world: World) -> None:
    pipeline, same = ran(world, tree(a="true")), tree(a="true")
    key = SecretKey(key="TOKEN")

    kept = world.continue_with(pipeline, same, program=SCRIPT, preview=True)
    put = PutSecrets(secrets=(SecretValue(key=key.key, value="hidden-1"),))
    asyncio.run(world.pipelines().put_secrets(put))
    keeping = world.continue_with(pipeline, same, program=SCRIPT, preview=True, keep_secrets=True)
    changed = world.continue_with(pipeline, same, program=SCRIPT, run=True)
    world.run_out()
    fresh = world.continue_with(pipeline, same, program=SCRIPT, fresh=True)

    assert [told(plan)["/a"] for plan in (kept, keeping, changed, fresh)] == [
        "kept",
        "kept",
        "secrets changed: TOKEN",
        "--fresh",
    ]
    prints = [a.fingerprint or "" for a in world.attempts(pipeline, "/a")]
    assert len(set(prints)) == 2
    assert world.states(pipeline) == {"/": "pending", "/a": "pending"}


def test_continuation_is_refused_while_running_archived_changed_or_invalid(world: World) -> None:
    pipeline = world.launch(tree(a="true"), program=SCRIPT)

    with pytest.raises(RefusedError, match=r"commands run.*conducto cancel"):
        world.continue_with(pipeline, tree(a="false"), program=SCRIPT)
    world.run_out()
    seq = world.get(pipeline).seq
    with pytest.raises(RefusedError, match=r"was launched by /home/ann/pipeline.py, not by /x.py"):
        world.continue_with(pipeline, tree(a="false"), program="/x.py")
    with pytest.raises(DefinitionError, match="/a: "):
        world.continue_with(pipeline, tree(a=""), program=SCRIPT)
    world.control(pipeline, "reset", "/a")
    world.control(pipeline, "pause")
    world.control(pipeline, "kill", "/")
    with pytest.raises(RefusedError, match="has changed since the plan was made"):
        world.continue_with(pipeline, tree(a="false"), program=SCRIPT, seq=seq)
    world.control(pipeline, "archive")
    with pytest.raises(RefusedError, match="is archived; wake it first"):
        world.continue_with(pipeline, tree(a="false"), program=SCRIPT)
    assert world.get(pipeline).pipeline.revision == 0


class Overtaken:
    """A store in which another caller continues the pipeline before the first commit."""

    def __init__(self, world: World, pipeline: str) -> None:
        self._world, self._pipeline = world, pipeline
        self._first = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.store, name)

    def commit(self, org: str, pipeline_id: str, entry: Any) -> None:
        if self._first:
            self._first = False
            self._world.continue_with(self._pipeline, tree(a="echo other"), program=SCRIPT)
        self._world.store.commit(org, pipeline_id, entry)


def test_second_of_two_concurrent_continuations_is_refused(world: World) -> None:
    pipeline = ran(world, tree(a="true"))
    late = World()
    late.__dict__.update(world.__dict__)
    late.services = Services(world.over(store=Overtaken(world, pipeline)))

    with pytest.raises(RefusedError, match="has changed since the plan was made; try again"):
        late.continue_with(pipeline, tree(a="echo mine"), program=SCRIPT)

    stored = asyncio.run(world.pipelines().get_definition(PipelineParams(id=pipeline)))
    assert stored.tree == form(tree(a="echo other")) | {"machines": {}}
    assert world.get(pipeline).pipeline.revision == 1


def test_tree_of_a_lazy_is_kept_with_the_command_that_printed_it(world: World) -> None:
    pipeline = world.launch(lazy(), program=SCRIPT)
    world.serve()
    world.running()["/Generate"].finish(tree=form(serial("x", "y")))
    world.run_out(lambda path: Cause.EXIT_CODE if path == "/Execute/y" else None)

    kept = world.continue_with(pipeline, lazy(), program=SCRIPT)
    states = world.states(pipeline)
    changed = world.continue_with(pipeline, lazy(command="date"), program=SCRIPT)

    assert told(kept) == {
        "/Generate": "kept",
        "/Execute/x": "kept",
        "/Execute/y": "it failed",
    }
    assert states["/Execute/x"] == "done"
    assert told(changed) == {"/Generate": "command changed"}
    assert set(changed.removed) == {"/Execute/x", "/Execute/y"}
    assert set(world.states(pipeline)) == {"/", "/Generate", "/Execute"}


def with_code(world: World) -> tuple[dict[str, Any], Callable[[str], dict[str, Any]]]:
    """Upload two contexts; return a tree, and a function that returns its image with a context."""
    images = {"own": {"image": "base:1", "copy_dir": "/home/me/code"}}
    for code in ("1", "2"):
        world.blobs.put(context_key(ME.org, code * 64), b"packed")

    def given(code: str) -> dict[str, Any]:
        return {"images": images, "sources": {"own": ImageSources(code=code * 64)}}

    return serial("a", image_name="own"), given


def test_changed_code_is_built_for_the_new_tree(world: World) -> None:
    written, given = with_code(world)
    pipeline = world.launch(written, program=SCRIPT, run=False, **given("1"))
    with world.engine.reading(ME.org, pipeline) as live:
        first = live.images["own"].built
    preview = world.continue_with(pipeline, written, program=SCRIPT, preview=True, **given("3"))
    with pytest.raises(RefusedError, match="a directory that it needs was not uploaded"):
        world.continue_with(pipeline, written, program=SCRIPT, **given("3"))
    world.continue_with(pipeline, written, program=SCRIPT, run=True, **given("2"))

    assert told(preview) == {"/a": "it has not run"}
    with world.engine.reading(ME.org, pipeline) as live:
        second = live.images["own"].built
    assert first is not None
    assert second is not None
    assert first.tag != second.tag
    assert [order.tag for order in world.builder.requests.values()] == [second.tag]


def test_tree_of_another_user_runs_without_the_secrets_of_the_owner(world: World) -> None:
    put = PutSecrets(secrets=(SecretValue(key="TOKEN", value="hidden-1"),))
    asyncio.run(world.pipelines().put_secrets(put))
    pipeline = ran(world, tree(a="true", b="false"), fail=("/b",))
    bob = replace(ME, user="bob")

    made = world.continue_with(
        pipeline, tree(a="true", b="echo $TOKEN"), identity=bob, program=SCRIPT, run=True
    )
    world.serve()

    assert told(made)["/a"] == "secrets changed: TOKEN"
    assert "TOKEN" not in world.running()["/a"].job.env  # type: ignore[union-attr]
    message = world.attempts(pipeline, "/a")[-1].message
    assert message is not None
    assert "bob changed this pipeline (continue" in message


def test_image_of_a_kept_tree_is_its_own_if_another_tree_with_the_same_name_is_removed(
    world: World,
) -> None:
    pipeline = world.launch(parallel(lazy("A"), lazy("B")), program=SCRIPT)
    world.serve()
    for name, reference in (("A", "alpine:1"), ("B", "debian:1")):
        printed = form(serial("x", image_name="img"), {"img": {"image": reference}})
        world.running()[f"/{name}/Generate"].finish(tree=printed)
    world.run_out()

    changed = parallel(lazy("A", command="date"), lazy("B"))
    made = world.continue_with(pipeline, changed, program=SCRIPT)

    assert told(made)["/A/Generate"] == "command changed"
    assert told(made)["/B/Execute/x"] == "kept"
    with world.engine.reading(ME.org, pipeline) as live:
        image = live.images[live.pipeline.nodes["/B/Execute/x"].placement.image]
        assert image.built is not None
        assert image.built.reference == "debian:1"


def succeed(world: World, number: int) -> None:
    """End a build."""
    tag = world.builder.requests[f"images:{number}"].tag
    said = {"reference": "", "shell": "/bin/sh", "workdir": "/"}
    world.blobs.put(f"builds/{ME.org}/{tag}/result.json", json.dumps(said).encode())
    world.builder.images.add((ME.org, tag))
    world.builder.statuses[f"images:{number}"] = "succeeded"
    world.now += 3


def test_rebuilt_image_is_kept_while_its_files_are_equal(world: World) -> None:
    written, given = with_code(world)
    pipeline = world.launch(written, program=SCRIPT, **given("1"))
    succeed(world, 1)
    world.get(pipeline)
    world.run_out()
    world.control(pipeline, "rebuild", "/a", sources=given("2")["sources"])
    succeed(world, 2)
    world.get(pipeline)
    world.run_out()
    (rebuilt,) = world.get(pipeline).images

    same = world.continue_with(pipeline, written, program=SCRIPT, **given("2"))
    (left,) = world.get(pipeline).images
    other = world.continue_with(pipeline, written, program=SCRIPT, preview=True, **given("1"))

    assert told(same) == {"/a": "kept"}
    assert left.reference == rebuilt.reference
    assert told(other) == {"/a": "base image and code changed"}
