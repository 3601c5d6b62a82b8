"""The scheduler over fakes: the content and time of its writes, and their visibility to readers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets
from tests.fakes.store import MemoryStore

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto.tree.serialize import encode, to_document
from conducto.wire.launching import MAX_BODY
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.images.model import ImageSpec
from conducto_core.run.model import events as ev
from conducto_core.run.model.params import ListParams, NodeParams, StatesParams, TreeParams
from conducto_core.run.model.records import ImageState, ParentAttempt
from conducto_core.run.model.requests import Action, LaunchRequest
from conducto_core.run.model.states import Cause, State
from conducto_local.agent.state_dir import StateDir
from conducto_local.children.channel import ChildRequest, ChildResponse
from conducto_local.engine.factory import NullImageBuilder
from conducto_local.engine.port import BuildLog, BuiltImage
from conducto_local.notifications.outbox import Channels, Outbox
from conducto_local.run.containers import Containers
from conducto_local.run.context import EngineContext
from conducto_local.run.handlers import LocalPipelines
from conducto_local.run.scheduler import Scheduler
from conducto_local.secrets.injection import SecretProvider
from conducto_local.store.port import WriteBatch


class WatchedStore(MemoryStore):
    """Notes every transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[WriteBatch] = []

    def save_all(self, turns: Mapping[str, WriteBatch]) -> None:
        super().save_all(turns)
        self.turns.extend(turns.values())


class InterruptedScheduler(Scheduler):
    """Has something happen between a transaction and those who waited for it.

    Attributes:
        meanwhile: What happens, once, and how many turns of the loop after the transaction.
    """

    meanwhile: tuple[Callable[[], None], int] | None = None

    async def saved(self, *, wait: bool = True) -> None:
        await super().saved(wait=wait)
        if self.meanwhile is not None:
            happen, turns = self.meanwhile
            self.meanwhile = None
            _in_turns(turns, happen)


def _in_turns(turns: int, happen: Callable[[], None]) -> None:
    if turns == 0:
        happen()
    else:
        asyncio.get_running_loop().call_soon(_in_turns, turns - 1, happen)


class BareImages(NullImageBuilder):
    """Makes images that hold none of the launching host's files."""

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        log.step(ImageState.DONE)
        return BuiltImage(reference=spec.name, shell="/bin/sh", workdir="/")


class Bench:
    """A runner in memory."""

    def __init__(self, home: StateDir) -> None:
        self.store = WatchedStore()
        self.engine = FakeEngine()
        engine_contexts = {"docker": EngineContext(self.engine, {"label": "value"}, BareImages)}
        secrets = SecretProvider(MemorySecrets())
        self.scheduler = InterruptedScheduler(
            home=home,
            store=self.store,
            engine_contexts=engine_contexts,
            containers=Containers(),
            secrets=secrets,
            notifier=lambda saved: Outbox(self.store, saved, secrets, Channels()),
        )
        self.pipelines = LocalPipelines(
            home=home, store=self.store, engine_contexts=engine_contexts, scheduler=self.scheduler
        )

    async def run(self, root: co.Node) -> str:
        request = LaunchRequest(tree=to_launch_form(root), run=True)
        launched = await self.pipelines.launch(request)
        async for batch in self.pipelines.changes(launched.pipeline.id, 0):
            if batch.pipeline.settled:
                break
        return launched.pipeline.id


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    home = StateDir(tmp_path, "test")
    home.make()
    bench = Bench(home)
    yield bench
    await bench.scheduler.close()


def chain(*commands: str) -> co.Serial:
    root = co.Serial(image="x")
    for number, command in enumerate(commands):
        root[f"n{number}"] = co.Exec(command)
    return root


async def test_the_next_start_is_written_with_the_end_before_it(bench: Bench) -> None:
    await bench.run(chain(*["true"] * 20))

    of_attempts = [turn for turn in bench.store.turns if turn.attempts]
    assert len(of_attempts) == 21
    assert {len(turn.attempts) for turn in of_attempts[1:-1]} == {2}


async def test_a_command_starts_only_after_its_attempt_is_written(bench: Bench) -> None:
    written: list[int] = []

    def outcome(_spec: object, _job: object) -> Outcome:
        started = [a for turn in bench.store.turns for a in turn.attempts if a.state == "running"]
        written.append(len(started))
        return Outcome()

    bench.engine.outcomes = outcome
    await bench.run(chain("a", "b", "c"))

    assert written == [1, 2, 3]


@pytest.mark.parametrize("command", ["true", "false", "ruined"])
async def test_no_node_is_seen_to_run_before_its_attempt(bench: Bench, command: str) -> None:
    bench.engine.outcomes = {
        "false": Outcome(code=1),
        "ruined": Outcome(code=None, cause=Cause.WORKER_LOST),
    }

    await bench.run(chain(command))

    seen: set[tuple[str, int]] = set()
    for turn in bench.store.turns:
        seen.update((attempt.path, attempt.number) for attempt in turn.attempts)
        running = {(n.path, n.attempt) for n in turn.nodes if n.state is State.RUNNING}
        assert {node for node in running if node[1]} <= seen


@pytest.mark.parametrize("turns", range(4))
async def test_change_just_before_a_reader_continues_is_delivered(bench: Bench, turns: int) -> None:
    form = to_launch_form(chain("true"))
    launched = await bench.pipelines.launch(LaunchRequest(tree=form))
    live = bench.pipelines.live(launched.pipeline.id)
    bench.scheduler.apply(live, ev.NodesSkipped(("/n0",)))
    unskip = ev.NodesUnskipped(("/n0",))
    bench.scheduler.meanwhile = (lambda: bench.scheduler.apply(live, unskip), turns)

    seen: list[bool] = []
    async with asyncio.timeout(10):
        async for batch in bench.pipelines.changes(live.id, 0):
            seen += [change.skipped for change in batch.changes if change.path == "/n0"]
            if len(seen) == 2:
                break

    assert seen == [True, False]


async def test_a_pause_between_batches_ends_when_the_pipeline_settles(bench: Bench) -> None:
    form = to_launch_form(chain("true", "true"))
    launched = await bench.pipelines.launch(LaunchRequest(tree=form, run=True))
    live = bench.pipelines.live(launched.pipeline.id)
    assert not live.settled()

    async with asyncio.timeout(10):
        await live.pause(3600)

    assert live.settled()


async def test_attempt_records_its_wait_reason(bench: Bench) -> None:
    root = co.Parallel(image="x", max_concurrent=1)
    root["a"] = co.Exec("true")
    root["b"] = co.Exec("true")

    pipeline = await bench.run(root)

    (first,) = (await bench.pipelines.list_attempts(NodeParams(id=pipeline, path="/a"))).attempts
    (second,) = (await bench.pipelines.list_attempts(NodeParams(id=pipeline, path="/b"))).attempts
    for attempt in (first, second):
        times = (attempt.queued, attempt.image_ready, attempt.admitted, attempt.started)
        known = [time for time in times if time is not None]
        assert len(known) == 4
        assert known == sorted(known)
    assert second.admitted is not None
    assert first.ended is not None
    assert second.admitted >= first.ended


async def test_attempt_with_a_present_image_has_no_image_wait(bench: Bench) -> None:
    pipeline = await bench.run(chain("true", "true"))

    (last,) = (await bench.pipelines.list_attempts(NodeParams(id=pipeline, path="/n1"))).attempts

    assert last.image_ready is None
    assert last.admitted is not None


async def test_tree_definition_is_released_after_the_launch(bench: Bench) -> None:
    request = LaunchRequest(tree=to_launch_form(chain("true")))

    await bench.pipelines.launch(request)

    assert request.tree == {}


def weigh(grams: int) -> None:
    """A native function, in a file that no image here holds."""


async def test_a_function_whose_file_the_image_does_not_hold_fails_its_node(bench: Bench) -> None:
    root = co.Parallel(image="x")
    root["a"] = co.Exec(weigh, 3)
    root["b"] = co.Exec("true")

    pipeline = await bench.run(root)

    (attempt,) = (await bench.pipelines.list_attempts(NodeParams(id=pipeline, path="/a"))).attempts
    assert (attempt.state, attempt.cause) == (State.ERROR, Cause.IMAGE)
    assert attempt.message is not None
    assert attempt.message.startswith(f"/a: the command uses {__file__}, but the image ")
    assert "copy_dir=" in attempt.message
    assert [ran.job.script for ran in bench.engine.ran] == ["true"]


async def test_a_pipeline_that_was_never_run_is_listed_with_its_counts_by_the_next_agent(
    bench: Bench,
) -> None:
    request = LaunchRequest(tree=to_launch_form(chain("true", "true")))
    launched = await bench.pipelines.launch(request)

    bench.scheduler.unload(bench.pipelines.live(launched.pipeline.id))
    (listed,) = (await bench.pipelines.list_pipelines(ListParams())).pipelines

    assert listed.counts == launched.counts
    assert listed.counts.pending == 2


async def test_group_has_its_start_and_end(bench: Bench) -> None:
    root = co.Serial(image="x")
    root["first"] = chain("true", "true")
    root["bad"] = chain("false")
    root["after"] = chain("true")
    bench.engine.outcomes = {"false": Outcome(code=1)}

    pipeline = await bench.run(root)

    page = await bench.pipelines.get_tree(TreeParams(id=pipeline))
    nodes = {node.path: node for node in page.nodes}
    first, last = nodes["/first/n0"].attempts[0], nodes["/first/n1"].attempts[0]
    assert (nodes["/first"].started, nodes["/first"].ended) == (first.queued, last.ended)
    assert (nodes["/after"].started, nodes["/after"].ended) == (None, None)
    assert nodes["/bad"].started is not None
    assert nodes["/first/n0"].started is None


async def test_nodes_show_their_container_reuse(bench: Bench) -> None:
    root = co.Parallel(image="x")
    root["shared"] = co.Exec("true")
    root["alone"] = co.Exec("true", container_reuse_context=co.ContainerReuseContext.NEW)
    root["kept"] = co.Serial(container_reuse_context=co.ContainerReuseContext.NEW)
    root["kept/deep"] = co.Serial()
    root["kept/deep/one"] = co.Exec("true")
    launched = await bench.pipelines.launch(LaunchRequest(tree=to_launch_form(root)))

    page = await bench.pipelines.get_tree(TreeParams(id=launched.pipeline.id))

    assert {node.path: node.reuse for node in page.nodes if node.reuse} == {
        "/alone": "fresh",
        "/kept": "context",
        "/kept/deep/one": "context",
    }


async def test_skipped_nodes_and_their_descendants_are_reported(bench: Bench) -> None:
    root = co.Parallel(image="x")
    root["a"] = co.Exec("true")
    root["group"] = co.Serial(skip=True)
    root["group/deep"] = co.Serial()
    root["group/deep/b"] = co.Exec("true")
    root["c"] = co.Exec("true", skip=True)
    launched = await bench.pipelines.launch(LaunchRequest(tree=to_launch_form(root)))

    states = await bench.pipelines.get_states(StatesParams(id=launched.pipeline.id, names=True))

    assert (states.states, states.names) == ("PSS", ("a", "group/deep/b", "c"))


@pytest.mark.parametrize("losses", [3, 4])
async def test_container_lost_while_it_starts_is_replaced_three_times(
    bench: Bench, losses: int
) -> None:
    bench.engine.lost_starts = losses

    pipeline_id = await bench.run(chain("true"))

    attempts = (
        await bench.pipelines.list_attempts(NodeParams(id=pipeline_id, path="/n0"))
    ).attempts
    lost = [a for a in attempts if a.cause is Cause.WORKER_LOST]
    assert len(lost) == losses
    assert attempts[-1].state is (State.DONE if losses == 3 else State.KILLED)
    assert "its command had not started (retry 1 of 3)" in str(attempts[0].message)


PARENT = ParentAttempt(pipeline="abc-def", path="/p", attempt=1, depth=1)


@pytest.mark.parametrize(
    ("parent", "own", "states"),
    [
        (None, {}, ["done", "done"]),
        (PARENT, {}, ["error", "pending"]),
        (PARENT, {"requires_docker": True}, ["done", "done"]),
    ],
)
async def test_lazy_of_a_child_gives_its_nodes_no_more_access_than_its_own(
    bench: Bench, parent: ParentAttempt | None, own: dict[str, bool], states: list[str]
) -> None:
    generated = co.Serial()
    generated["a"] = co.Exec("true", requires_docker=True)
    tree = OPEN + encode(to_document(generated, resolve=True)).encode() + CLOSE
    bench.engine.outcomes = {"generate": Outcome(stdout=tree)}
    root = co.Serial(image="x", **own)
    root["lazy"] = co.Lazy("generate")
    launched = await bench.pipelines.launch(LaunchRequest(tree=to_launch_form(root)))
    live = bench.pipelines.live(launched.pipeline.id)
    live.set_record(parent=parent)

    bench.scheduler.perform(live, Action.RUN)
    async for batch in bench.pipelines.changes(live.id, 0):
        if batch.pipeline.settled:
            break

    steps = ("/lazy/Generate", "/lazy/Execute")
    assert [str(live.tree.nodes[path].state) for path in steps] == states
    (attempt,) = (
        await bench.pipelines.list_attempts(NodeParams(id=live.id, path=steps[0]))
    ).attempts
    refused = "/lazy/Execute/a: requires_docker=True: a pipeline that a command launches gets no"
    assert (refused in str(attempt.message)) is (states[0] == "error")


async def test_requests_of_a_command_are_limited_and_executed_once_for_each_key(
    bench: Bench,
) -> None:
    bench.engine.outcomes = {"true": Outcome(held=True)}
    form = to_launch_form(chain("true"))
    launched = await bench.pipelines.launch(LaunchRequest(tree=form, run=True))
    live = bench.pipelines.live(launched.pipeline.id)
    async for _ in bench.pipelines.changes(live.id, 0):
        if live.tree.nodes["/n0"].state is State.RUNNING:
            break
    active = live.active_attempts["/n0"]
    tree = encode(to_document(chain("a"), resolve=True))

    async def send(**more: str | bool) -> ChildResponse:
        body = json.dumps({"tree": tree, "run": False, **more}).encode()
        return await bench.pipelines.serve_child(
            active, ChildRequest("POST", "/api/v1/children", body, "key")
        )

    large = await send(doc="x" * MAX_BODY)
    first, again, other = await send(), await send(), await send(title="other")

    assert [one.status for one in (large, first, again, other)] == [413, 200, 200, 422]
    assert first.body == again.body
    found = await bench.pipelines.list_pipelines(ListParams(parent=live.id))
    assert len(found.pipelines) == 1
