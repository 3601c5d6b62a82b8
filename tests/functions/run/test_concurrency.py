"""Several Lambdas serve one pipeline at the very same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

from chalicelib.billing.metering import month_of
from chalicelib.errors import ConflictError
from chalicelib.run.port import Turn, TurnState
from chalicelib.run.rules.state import LISTED_SECONDS
from chalicelib.services import Services
from conducto_core.run.model.states import State
from conducto_core.workers.model import Report
from support.cloud.world import ME, WorkerCalls, World
from support.trees import leaf, parallel

if TYPE_CHECKING:
    from chalicelib.run.port import Entry

WIDE = 16


class Meeting:
    """A store in which two that commit for the first time do so with the same number."""

    def __init__(self, store: Any, barrier: Barrier) -> None:
        self._store, self._barrier, self._met = store, barrier, False
        self.conflicts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        if not self._met:
            self._met = True
            self._barrier.wait(timeout=20)
        try:
            self._store.commit(org, pipeline_id, entry)
        except ConflictError:
            self.conflicts += 1
            raise


def test_two_simultaneous_reports_are_both_applied() -> None:
    world = World()
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    hands = list(world.running().values())
    barrier = Barrier(2)
    stores = [Meeting(world.store, barrier) for _ in hands]
    desks = [WorkerCalls(Services(world.over(store=store))) for store in stores]

    def report(number: int) -> None:
        job = hands[number].job
        assert job is not None
        done = Report(path=job.path, attempt=job.attempt, exit_code=0)
        desks[number].report(hands[number].identity, done)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(report, range(2)))
    assert sum(store.conflicts for store in stores) == 1
    assert world.get(pipeline).state is State.DONE
    assert [len(world.attempts(pipeline, path)) for path in ("/a", "/b")] == [1, 1]


def test_many_workers_and_the_minute_rule_at_once_lose_nothing() -> None:
    world = World()
    pipeline = world.launch(parallel(*[leaf(f"e{number}") for number in range(WIDE)]))
    world.serve()
    hands = list(world.running().values())
    assert len(hands) == WIDE
    processes = [Services(world.cloud) for _ in range(4)]

    def report(number: int) -> None:
        job, services = hands[number].job, processes[number % 4]
        assert job is not None
        done = Report(path=job.path, attempt=job.attempt, exit_code=0)
        for _ in range(2):  # and each of them comes twice
            WorkerCalls(services).report(hands[number].identity, done)
        services.reconciler.run()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(WIDE)))
    assert world.get(pipeline).state is State.DONE
    attempts = list(world.store.attempts(pipeline))
    assert [(a.number, a.state) for a in attempts] == [(1, State.DONE)] * WIDE
    assert world.orgs.workers(ME.org) == 0  # no command is left
    changes = world.store.changes(pipeline, 0, 10_000)
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))


def test_two_reports_in_one_entry_are_metered_in_one_write() -> None:
    world = World()
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    first, second = world.running().values()
    store = world.store
    taken = store.pass_turn(pipeline, Turn(), TurnState.TAKEN)

    def end_the_turn(_seconds: float) -> None:
        """Let another request take the turn while the first one waits."""
        if store.news(pipeline, 0).turn == taken:
            store.pass_turn(pipeline, taken, TurnState.OPEN)
            other = Thread(target=second.finish, kwargs={"seconds": 5.0})
            other.start()
            other.join()

    world.services = Services(world.over(sleep=end_the_turn))
    first.finish(seconds=2.0)

    latest = store.news(pipeline, 0).entries[-1]
    assert [each["input"]["kind"] for each in latest.input["inputs"]] == ["reported", "reported"]
    assert world.orgs.usage(ME.org, month_of(world.now))["exec_seconds"] == 7.0
    (spent,) = world.orgs.spent(ME.org, month_of(world.now))
    assert (spent.attempts, spent.seconds) == (2, 7.0)
    assert world.get(pipeline).state is State.DONE


class Noted:
    """A store that notes the time of each commit, and whether it wrote the pipeline's record."""

    def __init__(self, store: Any, world: World, commits: list[tuple[float, bool]]) -> None:
        self._store, self._world, self._commits = store, world, commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        self._commits.append((self._world.now, entry.listed))
        self._store.commit(org, pipeline_id, entry)


def test_record_is_written_at_most_once_in_two_seconds_while_only_its_counts_change() -> None:
    world = World()
    pipeline = world.launch(parallel(*[leaf(f"e{number}") for number in range(WIDE)]))
    world.serve()
    hands = list(world.running().values())
    commits: list[tuple[float, bool]] = []
    services = Services(world.over(store=Noted(world.store, world, commits)))
    for hand in hands[:-1]:
        assert hand.job is not None
        done = Report(path=hand.job.path, attempt=hand.job.attempt, exit_code=0)
        WorkerCalls(services).report(hand.identity, done)
        world.now += 0.5

    assert len(commits) == len(hands) - 1
    written = [now for now, listed in commits if listed]
    assert len(written) > 2
    assert all(after - before >= LISTED_SECONDS for before, after in pairwise(written))
    assert world.get(pipeline).state is State.RUNNING
