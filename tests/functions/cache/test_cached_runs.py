"""Cached commands in the cloud: hits without a worker or an execution."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.cache.store import TableCache
from chalicelib.errors import ThrottledError
from chalicelib.logs.port import LogKey
from chalicelib.run.rules import snapshots
from chalicelib.secrets.injection import user_scope
from chalicelib.services import Services
from conducto_core.billing.rules import use_of
from conducto_core.cache.model import LineageParams
from conducto_core.run.model.labels import saved_text
from conducto_core.run.model.states import Cause
from support.cloud.world import World
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from conducto_core.run.model.records import AttemptRecord


def tree(**params: Any) -> dict[str, Any]:
    both = parallel(leaf("a", command="a"), leaf("b", command="b"), name="both")
    return serial(leaf("fetch", command="fetch", **params), both, cache={}, title="t")


def launch(world: World, **options: Any) -> str:
    pipeline = world.launch(tree(), **options)
    world.run_out()
    return pipeline


def last(world: World, pipeline: str, path: str) -> AttemptRecord:
    return world.attempts(pipeline, path)[-1]


def test_an_unchanged_launch_starts_neither_worker_nor_execution() -> None:
    world = World()
    first = launch(world)
    workers, executions = len(world.fleet.tasks), len(world.machines.executions)
    second = launch(world)

    assert set(world.states(second).values()) == {"done"}
    assert (len(world.fleet.tasks), len(world.machines.executions)) == (workers, executions)
    attempt = last(world, second, "/both/a")
    assert attempt.from_cache is not None
    assert attempt.from_cache.text == f"{first} /both/a attempt 1"
    assert (attempt.started, attempt.exit_code) == (None, 0)


def test_an_outcome_from_the_cache_has_the_time_and_the_money_that_it_saved() -> None:
    world = World()
    first = world.launch(tree())
    world.serve()
    world.now += 90
    world.run_out()
    second = launch(world)

    ran, source = last(world, first, "/fetch"), last(world, second, "/fetch").from_cache
    assert source is not None
    assert source.seconds == 90
    assert source.dollars == pytest.approx(use_of(ran).dollars)
    assert saved_text(source) == "saved 1m 30s, $0.0015"
    lineage = asyncio.run(world.pipelines().get_lineage(LineageParams(id=second)))
    assert lineage.nodes == ()
    assert lineage.saved is not None
    assert lineage.saved.commands == 3
    sources = [last(world, second, path).from_cache for path in ("/fetch", "/both/a", "/both/b")]
    assert lineage.saved.dollars == pytest.approx(sum(each.dollars for each in sources))


def test_a_hit_has_the_streams_of_its_attempt() -> None:
    world = World()
    first = world.launch(tree())
    world.serve()
    for stream, data in (("stdout", b"hello\n"), ("result", b'{"x":1}')):
        world.logs.append(LogKey(first, "/fetch", 1, stream), 0, data)
    world.run_out()
    second = launch(world)

    assert world.logs.read(LogKey(second, "/fetch", 1, "stdout"), 0, 99) == b"hello\n"
    assert world.logs.read(LogKey(second, "/fetch", 1, "result"), 0, 99) == b'{"x":1}'
    assert last(world, second, "/fetch").output_bytes == 6


def test_only_changed_commands_run() -> None:
    world = World()
    launch(world)
    changed = tree()
    changed["children"][0] = ("fetch", leaf("fetch", command="other"))
    second = world.launch(changed)
    world.run_out()

    fetch = last(world, second, "/fetch")
    assert fetch.from_cache is None
    assert fetch.cache is not None
    assert fetch.cache.endswith("/fetch attempt 1: command")
    assert last(world, second, "/both/b").from_cache is not None
    assert set(world.states(second).values()) == {"done"}


def test_a_rerun_by_a_user_is_fresh_and_replaces_the_entry() -> None:
    world = World()
    launch(world)
    second = launch(world)
    world.control(second, "reset", "/fetch")
    world.run_out()
    again = last(world, second, "/fetch")
    assert (again.number, again.from_cache, again.cache) == (2, None, "a user ran it again")
    third = last(world, launch(world), "/fetch")
    assert third.from_cache is not None
    assert (third.from_cache.pipeline, third.from_cache.attempt) == (second, 2)


def test_no_cache_runs_and_stores() -> None:
    world = World()
    launch(world)
    second = launch(world, no_cache=True)
    assert last(world, second, "/fetch").cache == "launched with --no-cache"
    third = last(world, launch(world), "/fetch")
    assert third.from_cache is not None
    assert third.from_cache.pipeline == second


def test_a_failure_is_not_stored() -> None:
    world = World()
    first = world.launch(tree(suppress_errors=True))
    world.run_out(lambda path: Cause.EXIT_CODE if path == "/fetch" else None)
    assert last(world, first, "/fetch").not_stored == "it failed"
    second = world.launch(tree(suppress_errors=True))
    world.run_out()
    assert last(world, second, "/fetch").from_cache is None


def test_a_new_version_of_a_named_secret_misses() -> None:
    world = World()

    def run() -> AttemptRecord:
        pipeline = world.launch(tree(secrets=["TOKEN"]))
        world.run_out()
        return last(world, pipeline, "/fetch")

    secret = {"TOKEN": {"value": "one", "updated": 1.0}}
    world.vault.write(user_scope("acme", "ann"), secret)
    run()
    assert run().from_cache is not None
    world.now += 60
    world.vault.write(user_scope("acme", "ann"), {"TOKEN": {"value": "two", "updated": 2.0}})
    miss = run()
    assert miss.cache is not None
    assert miss.cache.endswith("secrets (TOKEN)")


def test_many_hits_of_several_entries_start_no_execution() -> None:
    """A path does not count, so one command is the entry of all."""
    world = World()

    def wide(number: int) -> dict[str, Any]:
        return parallel(*(leaf(f"n{n}") for n in range(number)), cache={}, title="t")

    world.launch(wide(1))
    world.run_out()
    executions = len(world.machines.executions)
    second = world.launch(wide(450))
    assert set(world.states(second).values()) == {"done"}
    assert len(world.machines.executions) == executions


def test_a_run_that_several_entries_decide_starts_with_the_last() -> None:
    world = World()
    world.launch(parallel(leaf("n"), cache={}, title="t"))
    world.run_out()
    commands = [leaf(f"n{n}") for n in range(250)]
    second = world.launch(parallel(*commands, leaf("new", command="new"), cache={}, title="t"))
    assert world.states(second)["/new"] == "queued"
    world.run_out()
    assert set(world.states(second).values()) == {"done"}
    assert len(world.machines.executions) == 2


def test_workers_of_cached_commands_see_no_data() -> None:
    world = World()
    mixed = serial(leaf("fetch", command="fetch", cache={}), leaf("plain"))
    world.launch(mixed)
    world.run_out()
    assert sorted(task.data for task in world.fleet.tasks.values()) == ["all", "none"]


def test_a_cached_command_has_no_identity() -> None:
    world = World()
    world.launch(serial(leaf("fetch", command="fetch", cache={}), leaf("plain")))
    world.serve()
    job = world.running()["/fetch"].job
    assert job is not None
    assert not {"CONDUCTO_PIPELINE_ID", "CONDUCTO_NODE", "CONDUCTO_URL"} & job.env.keys()


def test_a_cache_that_cannot_be_read_is_a_miss() -> None:
    class Broken(TableCache):
        def get(self, org: str, key: str) -> None:
            raise ThrottledError(f"{org} {key}")

    world = World()
    launch(world)
    world = World()
    world.use(cache=Broken(world.table))
    second = launch(world)
    reason = last(world, second, "/fetch").cache
    assert reason is not None
    assert reason.startswith("not cached: the cache could not be read")


def test_another_lambda_has_the_same_state_after_decisions() -> None:
    world = World()
    launch(world)
    second = launch(world)
    other = Services(world.cloud).engine
    with world.engine.reading("acme", second) as one, other.reading("acme", second) as two:
        assert snapshots.snapshot_of(one).state == snapshots.snapshot_of(two).state


def test_a_request_that_dies_before_its_decisions_writes_nothing() -> None:

    class Dead(TableCache):
        alive = False

        def get(self, org: str, key: str) -> Any:
            if not self.alive:
                raise KeyboardInterrupt
            return super().get(org, key)

    world = World()
    cache = Dead(world.table)
    world.use(cache=cache)
    pipeline = world.launch(tree(), run=False)
    with pytest.raises(KeyboardInterrupt):
        world.control(pipeline, "run")
    assert world.states(pipeline)["/fetch"] == "pending"  # the entry was not written
    cache.alive = True
    world.control(pipeline, "run")
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}


# ---- hits of a run that has started -------------------------------------------------------------


def late(first: str, last: str = "last", **params: Any) -> dict[str, Any]:
    """Return chains of a command, two others, and one more, side by side."""
    chains = [
        serial(
            leaf("first", command=f"{first} {n}"),
            leaf("hit", command=f"hit {n}"),
            leaf("more", command=f"more {n}"),
            leaf("last", command=f"{last} {n}", **params),
            name=f"c{n}",
        )
        for n in range(4)
    ]
    return parallel(*chains, cache={}, title="t")


def test_late_hits_are_done_without_another_execution() -> None:
    """The workers that ran the changed commands claim their tasks, and get the reply."""
    world = World()
    world.launch(late("first"))
    world.run_out()
    executions = len(world.machines.executions)
    second = world.launch(late("changed", "other"))
    world.run_out()

    assert set(world.states(second).values()) == {"done"}
    assert len(world.machines.executions) == executions + 1
    for path, is_hit in (("/c1/first", False), ("/c1/more", True), ("/c1/last", False)):
        assert (last(world, second, path).from_cache is not None) is is_hit
    with world.engine.reading("acme", second) as live:
        assert not live.cloud_machine.run_state.late


def test_late_hits_at_the_end_stop_the_execution() -> None:
    world = World()
    world.launch(late("first"))
    world.run_out()
    executions = len(world.machines.executions)
    second = world.launch(late("changed"))
    world.run_out()
    assert set(world.states(second).values()) == {"done"}
    assert len(world.machines.executions) == executions + 1


def test_late_hits_that_no_worker_claims_are_left_out_of_one_new_run() -> None:
    """Commands of another size wait for their replies."""
    world = World()
    world.launch(late("first"))
    world.run_out()
    executions = len(world.machines.executions)
    second = world.launch(late("changed", "other", cpu=4, mem=8))
    world.run_out()
    assert set(world.states(second).values()) == {"done"}
    assert len(world.machines.executions) <= executions + 2


def test_late_hit_survives_the_loss_of_the_workers_that_would_claim_it() -> None:
    world = World()
    world.launch(late("first"))
    world.run_out()
    second = world.launch(late("changed", "other"))
    world.serve()
    running = world.running()
    for path in sorted(running):
        running[path].finish()
    for hand in list(world.living()):
        hand.vanish()
    world.run_out()
    assert set(world.states(second).values()) == {"done"}


# ---- equal commands at once ---------------------------------------------------------------------


def serialized() -> dict[str, Any]:
    return serial(leaf("fetch", command="fetch"), cache={"serialize": True}, title="t")


def waits_for(world: World, pipeline: str) -> tuple[str | None, str | None]:
    node = world.nodes(pipeline)["/fetch"]
    return node.wait_kind, node.waits_for


def test_an_equal_command_waits_without_a_worker_for_the_outcome_of_the_first() -> None:
    world = World()
    first = world.launch(serialized())
    world.serve()
    second = world.launch(serialized())
    world.serve()

    assert waits_for(world, second) == (
        "same_command",
        f"waits for the same command in {first} /fetch",
    )
    assert [hand.task.pipeline_id for hand in world.living()] == [first]
    world.running()["/fetch"].finish()
    world.run_out()
    source = last(world, second, "/fetch").from_cache
    assert source is not None
    assert source.pipeline == first
    assert world.states(second)["/fetch"] == "done"


@pytest.mark.parametrize("end", ["failure", "kill"])
def test_one_of_the_waiting_commands_runs_if_the_first_has_no_outcome(end: str) -> None:
    world = World()
    first = world.launch(serialized())
    world.serve()
    others = [world.launch(serialized()) for _ in range(2)]
    world.serve()
    assert {waits_for(world, each)[0] for each in others} == {"same_command"}
    if end == "failure":
        world.running()["/fetch"].finish(Cause.EXIT_CODE)
    else:
        world.control(first, "kill", "/fetch")
    world.run_out()
    sources = [last(world, each, "/fetch").from_cache for each in others]
    assert sorted(each is None for each in sources) == [False, True]


def test_equal_commands_of_one_pipeline_run_once() -> None:
    world = World()
    commands = [leaf(f"n{n}", command="same") for n in range(3)]
    pipeline = world.launch(parallel(*commands, cache={"serialize": True}, title="t"))
    world.run_out()
    sources = [last(world, pipeline, f"/n{n}").from_cache for n in range(3)]
    assert sorted(each is None for each in sources) == [False, False, True]
    assert set(world.states(pipeline).values()) == {"done"}


def test_a_waiting_command_can_be_withdrawn() -> None:
    world = World()
    world.launch(serialized())
    world.serve()
    second = world.launch(serialized())
    world.control(second, "skip", "/fetch")
    world.run_out()
    assert world.nodes(second)["/fetch"].skipped
    with world.engine.reading("acme", second) as live:
        assert not live.same_commands
    assert last(world, world.launch(serialized()), "/fetch").from_cache is not None


def test_a_lost_release_is_found_by_the_minute_check() -> None:
    """The request that ended the first command died before its effects."""

    class Forgets(TableCache):
        lost = True

        def release(self, org: str, key: str, holder: str) -> list[str]:
            return [] if self.lost else super().release(org, key, holder)

    world = World()
    world.use(cache=Forgets(world.table))
    world.launch(serialized())
    world.serve()
    second = world.launch(serialized())
    world.serve()
    world.running()["/fetch"].finish(Cause.EXIT_CODE)
    world.run_out()
    assert waits_for(world, second)[0] == "same_command"
    world.minute()
    assert waits_for(world, second)[0] == "same_command"  # it may only have started
    world.minute(300)
    world.run_out()
    assert world.states(second)["/fetch"] == "done"
    assert last(world, second, "/fetch").from_cache is None


def test_a_snapshot_has_the_commands_that_wait() -> None:
    world = World()
    world.launch(serialized())
    world.serve()
    second = world.launch(serialized())
    other = Services(world.cloud).engine
    with world.engine.reading("acme", second) as one, other.reading("acme", second) as two:
        assert one.same_commands
        assert snapshots.snapshot_of(one).state == snapshots.snapshot_of(two).state
