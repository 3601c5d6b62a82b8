"""Named limits in the cloud, over the pipelines of an organisation."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Lock
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.limits.named_limits import GRACE, NamedLimits, lease_of
from chalicelib.records import limits_in
from chalicelib.run.group_commit import BusyError
from chalicelib.services import Services
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import TaskEnd
from conducto_core.limits.rules import WAIT_LEASE, Lease, LeasedLimits, from_json, to_json
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.tree.model import NamedLimit
from conducto_core.workers.model import ClaimDecision
from support.cloud.aws import TABLE, aws
from support.cloud.world import ME, WorkerCalls, World, claim_of
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.aws.named_records import TableDocuments

DATABASE = {"name": "database", "number": 1, "priority": 0}
BOTH = {**DATABASE, "number": 2}


@pytest.fixture
def world() -> World:
    return World()


def limited(name: str, *limits: dict[str, Any], **params: Any) -> dict[str, Any]:
    return leaf(name, limits=list(limits) or [DATABASE], **params)


def waits(world: World, pipeline: str, path: str) -> tuple[str | None, str | None]:
    node = world.nodes(pipeline)[path]
    return node.wait_kind, node.waits_for


def paths(world: World) -> list[tuple[str, str]]:
    """Return ``(pipeline, path)`` of the running commands."""
    hands = [hand for hand in world.living() if hand.job is not None]
    return sorted((hand.task.pipeline_id, hand.job.path) for hand in hands if hand.job is not None)


def test_a_command_waits_for_the_holder_in_another_pipeline(world: World) -> None:
    first = world.launch(serial(limited("load")))
    world.serve()
    second = world.launch(serial(limited("load")))
    world.serve()

    assert paths(world) == [(first, "/load")]
    expected = ("limit", f"waiting for limit database, held by {first} /load")
    assert waits(world, second, "/load") == expected

    world.running()["/load"].finish()
    world.serve()

    assert paths(world) == [(second, "/load")]
    world.run_out()
    assert world.states(second)["/load"] == "done"
    assert world.limits.read(ME.org)[0] == []


def test_commands_start_in_the_order_in_which_they_began_to_wait(world: World) -> None:
    order = [world.launch(serial(limited("load")))]
    world.serve()
    for number, priority in enumerate([0, 0, 2, 0]):
        world.now += 10
        limit = {**DATABASE, "priority": priority}
        order.insert(1 if priority else len(order), world.launch(serial(limited("load", limit))))
        world.serve()
        assert len(paths(world)) == 1, number

    for pipeline in order:
        assert paths(world) == [(pipeline, "/load")]
        world.running()["/load"].finish()
        world.serve()


def test_a_limit_above_counts_and_one_worker_waits_for_one_place(world: World) -> None:
    many = parallel(*(leaf(f"load{n}") for n in range(5)), limits=[BOTH])
    pipeline = world.launch(many)
    world.serve()

    assert len(paths(world)) == 2
    assert len(world.living()) == 2
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}


@pytest.mark.parametrize("action", ["kill", "pause", "skip"])
def test_a_waiting_command_leaves_the_line(world: World, action: str) -> None:
    world.launch(serial(limited("load")))
    world.serve()
    second = world.launch(serial(limited("load")))
    world.serve()

    world.control(second, action, *([] if action == "pause" else ["/load"]))

    names = [lease.pipeline for lease in world.limits.read(ME.org)[0]]
    assert second not in names


def test_a_lost_holder_releases_the_limit(world: World) -> None:
    world.launch(serial(limited("load", retry_lost=0)))
    world.serve()
    second = world.launch(serial(limited("load")))
    world.serve()

    world.running()["/load"].vanish()
    world.minute()
    world.minute()
    world.serve()

    assert paths(world) == [(second, "/load")]


def test_a_holder_that_does_not_run_is_removed(world: World) -> None:
    pipeline = world.launch(serial(limited("load"), limited("next")))
    world.serve()
    named = NamedLimits(world.cloud.records, world.cloud.timing)
    with world.engine.reading(ME.org, pipeline) as live:
        ended = lease_of(live, live.tree.nodes["/load"])  # type: ignore[arg-type]
    world.running()["/load"].finish()
    leases, version = world.limits.read(ME.org)
    gone = [
        type(ended)(name, "/load", 1, ended.limits, 0.0, world.now, holds=True)
        for name in (pipeline, "abc-gone")
    ]
    world.limits.write(ME.org, [*leases, *gone], version)
    world.serve()
    assert waits(world, pipeline, "/next")[0] == "limit"

    world.minute(GRACE - 10)
    assert len(named.reader(ME.org).holders()) == 2
    world.minute(20)
    world.serve()

    assert paths(world) == [(pipeline, "/next")]
    world.minute(2 * GRACE)
    assert [lease.path for lease in named.reader(ME.org).holders()] == ["/next"]


class Overtaken:
    """A store; another process acts before its first commit."""

    def __init__(self, world: World, act: Callable[[], object]) -> None:
        self._store = world.store
        self._act: Callable[[], object] | None = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *given: Any) -> None:
        act, self._act = self._act, None
        if act is not None:
            with ThreadPoolExecutor(1) as other:
                other.submit(act).result()
        self._store.commit(*given)


def test_a_claim_that_is_overtaken_keeps_the_limits_of_the_running_attempt(world: World) -> None:
    world.launch(serial(limited("load")))
    (hand,) = world.start_workers()
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    claim = claim_of(offer)
    won: list[ClaimDecision] = []

    def overtake() -> None:
        won.append(hand.desk.claim(hand.identity, claim).decision)

    slow = Services(world.over(store=Overtaken(world, overtake)))
    decision = WorkerCalls(slow).claim(hand.identity, claim).decision

    assert won == [decision] == [ClaimDecision.RUN]
    assert [lease.path for lease in world.limits.read(ME.org)[0]] == ["/load"]


class Throttled:
    """A vault that cannot be read now."""

    def read(self, _scope: str) -> None:
        raise ThrottledError("too many requests")


def test_a_claim_that_fails_releases_the_limits_that_it_has_acquired(world: World) -> None:
    world.launch(serial(limited("load")))
    (hand,) = world.start_workers()
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    failing = WorkerCalls(Services(world.over(vault=Throttled())))

    with pytest.raises(BusyError):
        failing.claim(hand.identity, claim_of(offer))

    assert world.limits.read(ME.org)[0] == []
    assert hand.desk.claim(hand.identity, claim_of(offer)).decision is ClaimDecision.RUN
    (lease,) = world.limits.read(ME.org)[0]
    assert lease.holds


def test_a_claim_whose_worker_is_lost_meanwhile_releases_its_limits(world: World) -> None:
    pipeline = world.launch(serial(limited("load")))
    (hand,) = world.start_workers()
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    real = world.store

    class Overtaken:
        lost = False

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def commit(self, *entry: Any) -> Any:
            if not self.lost:
                self.lost = True
                world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Spot"))
                raise ConflictError(pipeline)
            return real.commit(*entry)

    calls = WorkerCalls(Services(world.over(store=Overtaken())))
    with pytest.raises(WorkerGoneError):
        calls.claim(hand.identity, claim_of(offer))

    assert world.limits.read(ME.org)[0] == []


def test_limits_stay_held_while_another_claim_of_the_attempt_has_acquired_them() -> None:
    limit = NamedLimit("database", 1, 0)
    first = Lease("abc", "/load", 1, (limit,), 0.0, claims=("c1",))
    second = replace(first, claims=("c2",))
    other = Lease("def", "/load", 1, (limit,), 1.0, claims=("c3",))
    limits = LeasedLimits(now=5.0)
    assert [limits.acquire(first), limits.acquire(second)] == [None, None]

    limits.give_back(first)
    limits = LeasedLimits(from_json(to_json(limits.leases())), now=6.0)
    wait = limits.acquire(other)
    assert wait is not None
    assert wait.text == "waiting for limit database, held by abc /load"

    limits.give_back(second)
    assert limits.acquire(other) is None


def test_a_waiting_command_without_a_worker_lets_others_pass(world: World) -> None:
    world.launch(serial(limited("load")))
    world.serve()
    holder = world.running()["/load"]
    second = world.launch(serial(limited("load")))
    world.serve()
    (waiting,) = [hand for hand in world.living() if hand.task.pipeline_id == second]
    third = world.launch(serial(limited("load")))
    world.serve()
    waiting.leaving = True  # it hangs
    holder.finish()
    world.serve()
    assert paths(world) == []

    world.now += WAIT_LEASE
    world.serve()

    assert paths(world) == [(third, "/load")]


def test_a_container_that_waits_for_a_limit_runs_other_commands_of_its_group(world: World) -> None:
    world.launch(serial(limited("load")))
    world.serve()
    group = parallel(limited("load"), leaf("plain"), container_reuse_context="new")
    second = world.launch(group)
    world.serve()

    assert (second, "/plain") in paths(world)


LIMITS = st.lists(
    st.builds(
        lambda name, number, priority: {"name": name, "number": number, "priority": priority},
        st.sampled_from(["database", "licence"]),
        st.integers(1, 2),
        st.integers(0, 2),
    ),
    max_size=2,
    unique_by=lambda limit: str(limit["name"]),
)


@st.composite
def trees(draw: Any) -> dict[str, Any]:
    """Return a tree whose commands and groups have limits, contexts and capacity groups."""
    make = draw(st.sampled_from([serial, parallel]))
    leaves = [leaf(f"n{number}", limits=draw(LIMITS)) for number in range(draw(st.integers(1, 3)))]
    more: dict[str, Any] = draw(
        st.sampled_from([{}, {"container_reuse_context": "new"}, {"max_concurrent": 1}])
    )
    images = [draw(st.sampled_from(["a", "b"])) for _ in range(2)]
    group = make(*leaves, name="group", limits=draw(LIMITS), image_name=images[0], **more)
    return make(group, leaf("last", limits=draw(LIMITS), image_name=images[1]))


STEPS = ["finish", "finish", "vanish", "minute", "pause", "run", "kill", "lose"]
IMAGES = {"a": {"image": "busybox"}, "b": {"image": "alpine"}}


def check(world: World, launched: list[str]) -> None:
    """Assert that no command runs beside more commands than its limits allow."""
    running = []
    for pipeline in launched:
        with world.engine.reading(ME.org, pipeline) as live:
            busy = [worker.path for worker in live.registry.workers.values() if worker.busy]
            running += [live.tree.nodes[path].spec.limits for path in busy]
    beside = Counter(limit.name for limits in running for limit in limits)
    for limits in running:
        for limit in limits:
            assert beside[limit.name] <= limit.number


def step(world: World, name: str, launched: list[str], data: Any) -> None:
    hands = [hand for hand in world.living() if hand.job is not None]
    pipeline = data.draw(st.sampled_from(launched))
    if name in ("finish", "vanish") and hands:
        hand = data.draw(st.sampled_from(hands))
        hand.finish() if name == "finish" else hand.vanish()
    elif name == "lose" and world.living():
        data.draw(st.sampled_from(world.living())).vanish()
    elif name == "minute":
        world.minute()
    elif name in ("pause", "run"):
        world.control(pipeline, name)
    elif name == "kill":
        world.control(pipeline, "kill", "/")


def play(world: World, data: Any) -> None:
    """Run pipelines with limits through a random history; all of them end."""
    count = data.draw(st.integers(1, 4))
    launched = [world.launch(data.draw(trees()), images=IMAGES) for _ in range(count)]
    for name in data.draw(st.lists(st.sampled_from(STEPS), max_size=12)):
        world.serve()
        check(world, launched)
        step(world, name, launched, data)
    for pipeline in launched:
        world.control(pipeline, "run")
    for _ in range(60):
        world.serve()
        check(world, launched)
        hands = [hand for hand in world.living() if hand.job is not None]
        for hand in hands[:1]:
            hand.finish()
        if not hands:
            world.minute()
    states = [world.states(pipeline) for pipeline in launched]
    assert not [s for each in states for s in each.values() if s in ("queued", "running")]
    world.minute(GRACE)
    assert not world.cloud.records.limits.read(ME.org)[0]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_histories_respect_limits_and_end(data: Any) -> None:
    play(World(), data)


@pytest.fixture
def records() -> Iterator[TableDocuments[Sequence[Lease]]]:
    with aws() as clients:
        yield limits_in(DynamoTable(clients, TABLE))


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_histories_respect_limits_in_the_table(
    data: Any, records: TableDocuments[Sequence[Lease]]
) -> None:
    play(World(limits=records), data)


def test_processes_that_compete_never_exceed_a_limit(
    records: TableDocuments[Sequence[Lease]],
) -> None:
    world = World(limits=records, sleep=time.sleep, jitter=random.random)
    named = NamedLimits(world.cloud.records, world.cloud.timing)
    pipeline = world.launch(parallel(*(limited(f"n{n}", BOTH) for n in range(6))))
    with world.engine.reading(ME.org, pipeline) as live:
        nodes = [node for node in live.tree.nodes.values() if isinstance(node, LiveExec)]
    running, most, lock = set[str](), [0], Lock()
    pair = Barrier(2, timeout=60)  # two run at once, and never three

    def run(node: LiveExec) -> None:
        while named.acquire(ME.org, lease_of(live, node)) is not None:
            time.sleep(0.01)
        with lock:
            running.add(node.path)
            most[0] = max(most[0], len(running))
        pair.wait()
        with lock:
            running.remove(node.path)
        named.release(ME.org, [lease_of(live, node).key])

    with ThreadPoolExecutor(len(nodes)) as threads:
        list(threads.map(run, nodes))

    assert most[0] == 2
    assert records.read(ME.org)[0] == []
