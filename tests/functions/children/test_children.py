"""Pipelines that commands of the cloud launch: what the token of an attempt allows, and its end."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from chalicelib.api.dispatch import Api, Request
from chalicelib.errors import ThrottledError
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from conducto.tree.serialize import encode, to_document
from conducto.wire.launching import CHANNEL, LAUNCH, TOKEN
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.children.operations import GET_CHILD, LAUNCH_CHILD
from conducto_core.children.rules import MAX_DEPTH
from conducto_core.images.model import ImageSources
from conducto_core.programs.model import LaunchAgain
from conducto_core.run import operations as pipelines
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import GitOrigin, ParentAttempt
from conducto_core.run.model.requests import Changes, LaunchRequest
from support.cloud.world import ME, World
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from conducto_core.api.operation import AnyOperation

TREE = serial(leaf("parent", **{f"__env__{LAUNCH}": "1"}), leaf("other"))


def child_tree(command: str = "make") -> str:
    root = co.Serial(title="child")
    root["a"] = co.Exec(command)
    return encode(to_document(root, resolve=True))


def build_images(world: World) -> None:
    """Complete the builds, of images to which Conducto is added."""
    for number, build in world.builder.requests.items():
        told = {"reference": "", "shell": "/bin/sh", "workdir": "/"}
        world.blobs.put(f"builds/{ME.org}/{build.tag}/result.json", json.dumps(told).encode())
        world.builder.images.add((ME.org, build.tag))
        world.builder.statuses[number] = "succeeded"
    world.now += 3
    world.reconciler().run()


@dataclass
class Command:
    """A running command with ``launch=True``."""

    world: World
    api: Api
    id: str

    def __post_init__(self) -> None:
        (self.hand,) = [
            one for one in self.world.living() if one.job and one.task.pipeline_id == self.id
        ]
        assert self.hand.job is not None
        self.job = self.hand.job
        self.token = self.job.env[TOKEN]

    def call(
        self, operation: AnyOperation, body: Any = None, *, token: str | None = None, **params: str
    ) -> tuple[int, Any]:
        identity = self.world.tokens.find(digest_of(self.token if token is None else token))
        request = Request(params, (), {}, b"" if body is None else json.dumps(body).encode())
        answer = self.api.call(operation, identity, request)
        return answer.status, json.loads(answer.body)

    def launch(self, **more: Any) -> tuple[int, Any]:
        return self.call(LAUNCH_CHILD, {"tree": child_tree(), **more})


@pytest.fixture
def command() -> Command:
    return started(TREE)


def started(tree: Any) -> Command:
    world = World()
    pipeline_id = world.launch(tree, sources={"i": ImageSources()})
    build_images(world)
    world.serve()
    answers: defaultdict[tuple[str, str], MemoryResponses] = defaultdict(MemoryResponses)
    return Command(world, world.services.api(answers.__getitem__), pipeline_id)


def test_command_launches_children_and_reads_their_states(command: Command) -> None:
    _, first = command.launch(title="one", tags=["x"])
    _, second = command.launch()

    assert (first["title"], second["title"], first["settled"]) == ("one", "child", False)
    record = command.world.get(first["id"]).pipeline
    assert record.parent == ParentAttempt(pipeline=command.id, path="/parent", attempt=1, depth=1)
    assert (record.owner, record.tags) == (ME.user, ("x",))
    command.world.serve()
    command.world.running()["/a"].finish(exit_code=3)
    status, now = command.call(GET_CHILD, id=first["id"])
    other = command.call(GET_CHILD, id=second["id"])[1]
    failed = next(one for one in (now, other) if one["settled"])
    assert (status, failed["state"]) == (200, "error")
    assert failed["failed"] == [{"path": "/a", "reason": "exit code 3", "tail": ""}]


def test_child_that_a_user_launches_again_is_a_copy_of_the_child(command: Command) -> None:
    _, child = command.launch(title="one")

    again = asyncio.run(
        command.world.pipelines().launch_again(
            PipelineParams(id=child["id"][:5]), LaunchAgain(run=False)
        )
    ).pipeline

    assert (again.title, again.copy_of, again.parent) == ("one", child["id"], None)
    assert command.world.get(child["id"]).pipeline.copy_of is None


def test_token_is_masked_and_only_in_the_environment_of_its_command(command: Command) -> None:
    assert command.token in command.job.masked
    assert CHANNEL not in command.job.env
    assert command.token not in command.job.script
    assert command.token not in repr(command.job)
    assert command.token not in str(command.world.attempts(command.id, "/parent"))
    command.hand.finish(exit_code=0)
    command.world.serve()
    other = command.world.running()["/other"].job
    assert other is not None
    assert TOKEN not in other.env


def test_token_allows_no_other_operation_and_no_other_pipeline(command: Command) -> None:
    stranger = command.world.launch(serial(leaf("a")), run=False)
    denied = {command.call(one, id=command.id)[0] for one in (pipelines.GET, pipelines.CONTROL)}

    assert denied == {403}
    assert command.call(pipelines.LAUNCH, {})[0] == 403
    for other in (stranger, command.id, "abc-def"):
        status, problem = command.call(GET_CHILD, id=other)
        assert (status, problem["title"]) == (403, "not allowed")


def test_token_ends_with_the_attempt(command: Command) -> None:
    _, child = command.launch()
    command.hand.finish(exit_code=1)

    for operation, body in ((LAUNCH_CHILD, {"tree": child_tree()}), (GET_CHILD, None)):
        status, problem = command.call(operation, body, id=child["id"])
        assert (status, problem["detail"]) == (401, "/parent: the attempt of this token has ended")
    assert not command.world.get(child["id"]).settled  # the child continues


def test_token_is_refused_while_its_command_is_being_killed(command: Command) -> None:
    command.world.control(command.id, "kill", "/parent")

    assert command.launch()[0] == 401


def test_depth_is_limited(command: Command) -> None:
    root = co.Serial(launch=True)
    root["parent"] = co.Exec("python launch.py")
    tree = encode(to_document(root, resolve=True))
    depths = []
    for _ in range(MAX_DEPTH):
        status, child = command.call(LAUNCH_CHILD, {"tree": tree})
        assert status == 200, child
        parent = command.world.get(child["id"]).pipeline.parent
        assert parent is not None
        depths.append(parent.depth)
        command.world.serve()
        command = Command(command.world, command.api, child["id"])

    status, problem = command.launch()

    assert depths == [*range(1, 11)]
    assert (status, problem["title"]) == (409, "refused")
    assert "is at depth 10, the maximum" in problem["detail"]


def test_child_of_a_changed_pipeline_gets_no_secrets_of_the_owner(command: Command) -> None:
    command.world.engine.note_change(ME.org, command.id, "modify", "cem")

    _, child = command.launch()

    found = command.world.get(child["id"]).pipeline.foreign_change
    assert found is not None
    assert (found.by, found.change) == ("cem", "modify")


def test_plan_counts_children(command: Command) -> None:
    plan = command.world.orgs.plan(ME.org)
    command.world.orgs.set_plan(ME.org, plan.__class__("small", max_pipelines=1))

    status, problem = command.launch()

    assert status == 409
    assert "allows 1 active pipelines" in problem["detail"]


@pytest.mark.parametrize("tree", ["", "x", "aGVsbG8=", encode({"nodes": 1}), encode({"nodes": []})])
def test_invalid_tree_is_refused(command: Command, tree: str) -> None:
    assert command.launch(tree=tree)[0] == 422


def test_token_of_another_organisation_finds_nothing(command: Command) -> None:
    forged = Identity("other", "eve", frozenset({"children"}), attempt=(command.id, "/parent", 1))
    command.world.tokens.put("d", forged, expires=None)

    answer = command.api.call(
        LAUNCH_CHILD, command.world.tokens.find("d"), Request({}, (), {}, b"{}")
    )

    assert answer.status == 401


def test_throttled_read_of_the_attempt_is_a_problem(command: Command) -> None:
    def reading(*_: str) -> Any:
        raise ThrottledError("Rate exceeded")

    engine: Any = command.world.engine
    engine.reading = reading
    command.api = command.world.services.api(lambda _: MemoryResponses())

    status, problem = command.launch()

    assert (status, problem["title"]) == (503, "busy")


def test_pull_request_from_a_fork_gets_no_launch_token() -> None:
    world = World()
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
    request = LaunchRequest(tree=form(TREE), run=True, sources={"i": ImageSources()})
    asyncio.run(world.pipelines().launch(request, origin=fork))
    build_images(world)
    world.serve()
    (hand,) = (one for one in world.living() if one.job)

    assert hand.job is not None
    assert TOKEN not in hand.job.env


# ---- budgets ---------------------------------------------------------------------------------

#: A worker of 1 vCPU and 3 GB with an address, by AWS's pages for us-east-1.
MINUTE = (0.04048 + 3 * 0.004445 + 0.005) / 60


def test_child_counts_against_the_budget_of_its_parent() -> None:
    parent = leaf("parent", **{f"__env__{LAUNCH}": "1"})
    command = started(serial(parent, leaf("other"), budget=10 * MINUTE))
    world = command.world
    _, child = command.launch()
    world.serve()
    with world.engine.reading(ME.org, command.id) as live:
        alone = live.cost_of("/")

    for _ in range(8):
        world.beat()
        world.minute(60)

    with world.engine.reading(ME.org, command.id) as live:
        assert live.cost_of("/") - alone > 8 * MINUTE  # its own worker, and that of the child
        assert live.children[child["id"]][1] > 5 * MINUTE
    record = world.get(child["id"]).pipeline
    assert record.armed is False
    assert f"its parent {command.id}: the budget of $" in str(record.problem)
    status, problem = command.launch()
    assert (status, "nothing is launched: the budget of $" in problem["detail"]) == (409, True)

    world.control(command.id, "modify", "/", changes=Changes(budget=1.0))
    world.minute(60)
    assert world.get(child["id"]).pipeline.armed is True


def test_parent_and_child_exceed_the_budget_by_at_most_one_interval_of_each_worker() -> None:
    parent = leaf("parent", **{f"__env__{LAUNCH}": "1"})
    budget = 16 * MINUTE
    command = started(serial(parent, budget=budget))
    world, bill = command.world, 0.0
    root = co.Serial()
    for number in range(30):
        root[f"n{number}"] = co.Exec("make")
    _, child = command.call(LAUNCH_CHILD, {"tree": encode(to_document(root, resolve=True))})
    world.serve()

    for _ in range(30):
        if not world.get(child["id"]).pipeline.armed:
            break
        bill += MINUTE * len(world.living())
        world.minute(60)
        for path, hand in world.running().items():
            if path.startswith("/n"):
                hand.finish()
        world.serve()

    assert world.get(child["id"]).pipeline.armed is False
    assert budget / 2 < bill <= budget + 2 * MINUTE


def test_child_of_a_pipeline_without_a_budget_is_not_metered(command: Command) -> None:
    command.launch()
    command.world.minute(60)

    with command.world.engine.reading(ME.org, command.id) as live:
        assert live.children == {}
