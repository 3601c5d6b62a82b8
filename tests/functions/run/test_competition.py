"""Requests that compete for a journal: each takes effect once, with its effects, or not at all."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.run.group_commit import BusyError
from chalicelib.run.model import OutputsArrived, Submitted, TimeLimitsExpired, WorkerLost
from chalicelib.run.port import Entry, TurnState, Waiting
from chalicelib.run.processor import CommandProcessor
from chalicelib.services import Services
from conducto_core.errors import NotFoundError
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import State
from conducto_core.workers.model import Report
from support.cloud.world import ME, WorkerCalls, World
from support.trees import leaf, parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.run.model import Input
    from chalicelib.run.port import News, Turn
    from support.cloud.world import Hand

LICENCE = {"name": "licence", "number": 1, "priority": 0}
#: Median latencies of AWS in milliseconds.
LATENCIES = {"news": 6, "pass_turn": 8, "waiting": 6, "commit": 25, "put_waiting": 8}


class Changed:
    """A store with some other methods."""

    def __init__(self, store: Any, **methods: Callable[..., Any]) -> None:
        self._store = store
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def started(*names: str, **more: Any) -> tuple[World, str]:
    world = World()
    pipeline = world.launch(parallel(*(leaf(name, **more) for name in names)))
    world.serve()
    return world, pipeline


def pass_turn(world: World, pipeline: str, state: TurnState) -> Turn:
    turn = world.store.news(pipeline, 0).turn
    return world.store.pass_turn(pipeline, turn, state)


def nothing_new(world: World) -> Input:
    return OutputsArrived(time=world.now, path="/nowhere", attempt=1, outputs=OutputSummary())


def fold_inbox(world: World, pipeline: str, *, snapshot_every: int = 1000) -> None:
    """Let another process write an entry with all waiting inputs."""
    pass_turn(world, pipeline, TurnState.OPEN)
    other = Services(world.cloud, snapshot_every=snapshot_every)
    other.engine.submit(ME.org, pipeline, lambda _: nothing_new(world))


def report(world: World, hand: Hand, services: Services | None = None, **ports: Any) -> None:
    """Report success, by a process of its own if none is given."""
    services = services or Services(world.over(**ports))
    assert hand.job is not None
    done = Report(path=hand.job.path, attempt=hand.job.attempt, exit_code=0)
    WorkerCalls(services).report(hand.identity, done)


def completing(world: World) -> list[str]:
    """Return a list that gets the completed tasks."""
    tokens: list[str] = []
    real = world.machines.succeed

    def succeed(token: str, output: Any) -> None:
        tokens.append(token)
        real(token, output)

    world.machines.succeed = succeed  # type: ignore[method-assign]
    return tokens


# ---- inputs before the journal is read ----------------------------------------------------------


class Watched(Changed):
    """A store that records which of two calls come, until another process has served the inbox."""

    def __init__(self, world: World, pipeline: str) -> None:
        super().__init__(world.store)
        self._world, self._pipeline = world, pipeline
        self.calls: list[str] = []

    def news(self, pipeline_id: str, after: int) -> News:
        self.calls.append("news")
        return self._world.store.news(pipeline_id, after)

    def put_waiting(self, pipeline_id: str, waiting: Waiting) -> None:
        self.calls.append("put_waiting")
        self._world.store.put_waiting(pipeline_id, waiting)
        fold_inbox(self._world, self._pipeline)


def test_a_report_is_sent_before_the_journal_is_read_under_competition() -> None:
    world, pipeline = started("a", "b")
    first, second = world.running().values()
    store = Watched(world, pipeline)
    services = Services(world.over(store=store))
    pass_turn(world, pipeline, TurnState.TAKEN)
    report(world, first, services)
    store.calls.clear()

    report(world, second, services)

    assert store.calls[:2] == ["put_waiting", "news"]
    assert world.states(pipeline) == {"/": "done", "/a": "done", "/b": "done"}


def test_a_report_on_an_outdated_state_is_decided_again() -> None:
    world, pipeline = started("a", "b")
    first, second = world.running().values()
    services = Services(world.over(store=Watched(world, pipeline)))
    pass_turn(world, pipeline, TurnState.TAKEN)
    report(world, first, services)
    world.control(pipeline, Action.KILL, "/b")

    report(world, second, services)

    assert world.states(pipeline)["/b"] == "killed"


# ---- effects ------------------------------------------------------------------------------------


def test_an_input_whose_reader_is_throttled_still_has_its_effects() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)
    pass_turn(world, pipeline, TurnState.TAKEN)
    sent: list[Waiting] = []

    def put_waiting(pipeline_id: str, waiting: Waiting) -> None:
        world.store.put_waiting(pipeline_id, waiting)
        sent.append(waiting)

    def news(pipeline_id: str, after: int) -> Any:
        if len(sent) == 1:
            sent.append(sent[0])
            fold_inbox(world, pipeline)
            raise ThrottledError("throttled")
        return world.store.news(pipeline_id, after)

    report(world, hand, store=Changed(world.store, put_waiting=put_waiting, news=news))

    assert tokens == [hand.token]


def test_an_input_in_a_snapshot_that_its_request_did_not_write_has_its_effects() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)
    pass_turn(world, pipeline, TurnState.TAKEN)

    def take(pipeline_id: str, turn: Turn, state: TurnState) -> Turn:
        if world.store.waiting(pipeline, 1):  # the previous holder's entry is just written
            fold_inbox(world, pipeline, snapshot_every=1)
            turn = world.store.news(pipeline, 0).turn
            other = Submitted(id="00000000000001-x", input=nothing_new(world), seen=turn.version)
            world.store.put_waiting(pipeline, Waiting(other.id, other.written()))
        return world.store.pass_turn(pipeline_id, turn, state)

    report(world, hand, store=Changed(world.store, pass_turn=take))

    assert tokens == [hand.token]


def test_an_input_whose_request_gives_up_is_withdrawn() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)

    def busy(_seconds: float) -> None:
        pass_turn(world, pipeline, TurnState.TAKEN)  # others write all the time

    busy(0)
    with pytest.raises(BusyError):
        report(world, hand, sleep=busy)

    assert world.store.waiting(pipeline, 10) == []
    assert world.nodes(pipeline)["/a"].state is State.RUNNING
    report(world, hand)
    assert tokens == [hand.token]


def test_an_input_that_is_written_while_its_request_gives_up_has_its_effects() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)

    def busy(_seconds: float) -> None:
        pass_turn(world, pipeline, TurnState.TAKEN)

    def drop_waiting(pipeline_id: str, ids: Sequence[str]) -> None:
        fold_inbox(world, pipeline)
        world.store.drop_waiting(pipeline_id, ids)

    busy(0)
    report(world, hand, sleep=busy, store=Changed(world.store, drop_waiting=drop_waiting))

    assert tokens == [hand.token]


def test_a_withdrawn_input_is_in_no_entry() -> None:
    world, pipeline = started("a", "b")
    with world.engine.reading(ME.org, pipeline) as live:
        seen = live.number
    lost = WorkerLost(time=world.now, worker=world.running()["/a"].id, reason="lost")
    submitted = Submitted(id="00000000000001-x", input=lost, seen=seen)
    world.store.put_waiting(pipeline, Waiting(submitted.id, submitted.written()))
    pass_turn(world, pipeline, TurnState.OPEN)
    first: list[int] = []

    def commit(org: str, pipeline_id: str, entry: Entry) -> None:
        if not first:
            first.append(entry.number)
            world.store.drop_waiting(pipeline, [submitted.id])
            pass_turn(world, pipeline, TurnState.OPEN)
        world.store.commit(org, pipeline_id, entry)

    services = Services(world.over(store=Changed(world.store, commit=commit)))
    services.engine.submit(ME.org, pipeline, lambda _: nothing_new(world))

    assert first
    assert lost.worker in {hand.id for hand in world.running().values()}
    assert world.nodes(pipeline)["/a"].state is State.RUNNING


def test_a_request_that_gives_up_ends_the_turn_of_a_writer_that_has_read_its_input() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)
    held: list[Turn] = []

    def busy(_seconds: float) -> None:
        held.append(pass_turn(world, pipeline, TurnState.TAKEN))

    busy(0)
    with pytest.raises(BusyError):
        report(world, hand, sleep=busy)

    with world.engine.reading(ME.org, pipeline) as live:
        late = Entry(live.number + 1, {}, turn=held[-1].version)
    with pytest.raises(ConflictError, match="turn"):
        world.store.commit(ME.org, pipeline, late)
    assert world.store.waiting(pipeline, 10) == []
    assert tokens == []


def test_a_repeated_report_repeats_the_effects_that_may_be_lost() -> None:
    world, pipeline = started("a", limits=[LICENCE])
    hand, tokens = world.running()["/a"], completing(world)
    assert NamedLimits(world.cloud.records, world.cloud.timing).reader(ME.org).holders()
    world.engine._group._execute = lambda _: None  # the request dies after its entry
    assert hand.job is not None
    done = Report(path=hand.job.path, attempt=hand.job.attempt, exit_code=0)
    WorkerCalls(world.services).report(hand.identity, done)
    assert (tokens, world.get(pipeline).state) == ([], State.DONE)

    report(world, hand)

    assert tokens == [hand.token]
    assert not NamedLimits(world.cloud.records, world.cloud.timing).reader(ME.org).holders()


def test_a_snapshot_that_fails_loses_no_effects() -> None:
    world, pipeline = started("a", "b")
    hand, tokens = world.running()["/a"], completing(world)
    failed: list[str] = []

    def put_snapshot(pipeline_id: str, _snapshot: Any) -> None:
        failed.append(pipeline_id)
        assert tokens == [hand.token]
        raise RuntimeError("S3 denies access")

    store = Changed(world.store, put_snapshot=put_snapshot)
    services = Services(world.over(store=store), snapshot_every=1)
    assert hand.job is not None
    done = Report(path=hand.job.path, attempt=hand.job.attempt, exit_code=0)
    WorkerCalls(services).report(hand.identity, done)

    assert failed == [pipeline]


def test_a_second_loss_does_not_replace_the_reason_of_ecs() -> None:
    world, pipeline = started("a", "b")
    hand = world.running()["/a"]
    with world.engine.reading(ME.org, pipeline) as live:
        seen = live.number
    for number in (1, 2):
        lost = WorkerLost(time=world.now, worker=hand.id, reason="stopping")
        each = Submitted(id=f"{number:014d}-x", input=lost, seen=seen)
        world.store.put_waiting(pipeline, Waiting(each.id, each.written()))

    fold_inbox(world, pipeline)

    with world.engine.reading(ME.org, pipeline) as live:
        assert hand.id in live.registry.ended


# ---- competition --------------------------------------------------------------------------------


class Slow:
    """A store with the latencies of AWS."""

    _lock = Lock()

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        milliseconds = LATENCIES.get(name)
        if milliseconds is None:
            return call

        def slow(*args: Any) -> Any:
            half = milliseconds / 2e3 * random.lognormvariate(0, 0.3)
            time.sleep(half)
            try:
                with self._lock:
                    return call(*args)
            finally:
                time.sleep(half)

        return slow


@pytest.mark.parametrize("number", [20, 40])
def test_inputs_that_do_not_wait_are_all_committed(number: int) -> None:
    world, pipeline = started("a", "b")
    ports = {"store": Slow(world.store), "sleep": time.sleep, "jitter": random.random}
    engines = [Services(world.over(**ports)).engine for _ in range(number)]
    for engine in engines:
        with engine.reading(ME.org, pipeline) as live:
            before = live.inputs

    def act(engine: CommandProcessor) -> bool:
        expired = TimeLimitsExpired(time=world.now, paths=())
        return engine.submit(ME.org, pipeline, lambda _: expired)

    with ThreadPoolExecutor(number) as pool:
        assert all(pool.map(act, engines))
    with world.engine.reading(ME.org, pipeline) as live:
        assert live.inputs == before + number


def test_an_action_takes_the_turn_from_workers_but_not_from_another_action() -> None:
    world, pipeline = started("a", "b")
    slept: list[float] = []
    services = Services(world.over(sleep=slept.append))

    def act() -> None:
        expired = TimeLimitsExpired(time=world.now, paths=())
        services.engine.submit(ME.org, pipeline, lambda _: expired)

    pass_turn(world, pipeline, TurnState.TAKEN)
    act()
    assert slept == []
    pass_turn(world, pipeline, TurnState.URGENT)
    act()
    assert sum(slept) >= 0.5  # its holder counts as dead


def test_a_request_gives_up_by_the_clock() -> None:
    world, pipeline = started("a", "b")
    began = world.now

    def news(pipeline_id: str, after: int) -> Any:
        world.now += 4  # AWS is slow
        pass_turn(world, pipeline, TurnState.URGENT)
        return world.store.news(pipeline_id, after)

    services = Services(world.over(store=Changed(world.store, news=news)))
    with pytest.raises(BusyError):
        services.engine.submit(ME.org, pipeline, lambda _: nothing_new(world))

    assert 15 <= world.now - began < 30


def test_an_input_that_cannot_be_written_fails_only_its_own_request() -> None:
    world, pipeline = started("a", "b")
    a, b = world.running()["/a"], world.running()["/b"]
    with world.engine.reading(ME.org, pipeline) as live:
        seen = live.number
    for number, hand in enumerate((a, b)):
        lost = WorkerLost(time=world.now, worker=hand.id, reason="stopping")
        each = Submitted(id=f"{number:014d}-x", input=lost, seen=seen)
        world.store.put_waiting(pipeline, Waiting(each.id, each.written()))
    pass_turn(world, pipeline, TurnState.OPEN)

    def commit(org: str, pipeline_id: str, entry: Entry) -> None:
        inputs = entry.input.get("inputs", ())
        if any(each["input"].get("worker") == a.id for each in inputs):
            raise RuntimeError("the transaction was rejected: ValidationError")
        world.store.commit(org, pipeline_id, entry)

    services = Services(world.over(store=Changed(world.store, commit=commit)))
    assert services.engine.submit(ME.org, pipeline, lambda _: nothing_new(world))

    entries = world.store.news(pipeline, seen).entries
    assert [list(entry.input.get("refused", ())) for entry in entries] == [
        [],
        ["00000000000000-x"],
        [],
    ]
    with world.engine.reading(ME.org, pipeline) as live:
        assert (a.id in live.registry.workers, b.id in live.registry.workers) == (True, False)


def test_a_request_of_a_deleted_pipeline_leaves_no_input() -> None:
    world, pipeline = started("a", "b")
    hand = world.running()["/a"]
    pass_turn(world, pipeline, TurnState.TAKEN)
    withdrawn: list[str] = []

    def commit(_org: str, _pipeline_id: str, _entry: Entry) -> None:
        raise LookupError("it was deleted")

    def drop_waiting(pipeline_id: str, ids: Sequence[str]) -> None:
        withdrawn.extend(ids)
        world.store.drop_waiting(pipeline_id, ids)

    store = Changed(world.store, commit=commit, drop_waiting=drop_waiting)
    with pytest.raises(NotFoundError):
        report(world, hand, store=store)

    assert len(withdrawn) == 1
    assert world.store.waiting(pipeline, 10) == []
