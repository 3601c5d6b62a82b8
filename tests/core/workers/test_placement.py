"""The placement ladder: the rung of each worker, and the result of each failure of AWS."""

from __future__ import annotations

import itertools

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.machines.model import MachineClass, Rung
from conducto_core.machines.rules import read_machines
from conducto_core.run.model.states import Cause
from conducto_core.tree.model import SpotUse
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.rules.placement import (
    DELAYS,
    MAX_MACHINE_WAIT,
    MAX_WAIT,
    RungHistory,
    is_in_share,
    max_wait,
    opens,
    place,
    rungs_of,
)
from conducto_core.workers.rules.pools import pool_of
from conducto_core.workers.rules.start_failures import (
    MAX_STARTS,
    OF_RUNG,
    Failed,
    PoolStarts,
    StartFailure,
    failure_of,
)
from conducto_emulator.faults import capacity

NEW = co.ContainerReuseContext.NEW
SPOT, ON_DEMAND = Rung.SPOT, Rung.ON_DEMAND
CLASSES = read_machines("both=m7i.large:spot,ondemand;back=m7i.large:ondemand,spot;one=m7i.large")
#: Every reason of AWS for which a task does not start, ends before its command, or is interrupted.
REASONS = (
    *capacity.REFUSALS,
    *(f"RunTask: {reason}" for reason in capacity.REFUSALS),
    *capacity.FAILED_STARTS,
    capacity.INTERRUPTED,
    "Host EC2 (instance i-0a1b2c3d4e5f60718) terminated: Spot interruption",
    "Task stopped; SpotInterruption",
    "Host is shutting down; TerminationNotice",
    "AWS has no capacity: it found no machine for a worker in 10 minutes",
    "Timeout waiting for capacity",
    "RunTask: MISSING",
    "The specified capacity provider 'conducto-main_gpu_spot' was not found.",
    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes",
    "ResourceInitializationError: unable to pull secrets or registry auth",
    "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
    "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit",
    "CannotStartContainerError: exec format error",
    "ContainerRuntimeError: no space left on device",
    "InternalError: failed to create container model",
    "Essential container in task exited",
    "it stopped sending heartbeats",
    "it ended, and ECS gives no reason",
    "Rate exceeded",
    "not authorized to perform: ecs:RunTask",
    "",
)
LADDERS = [
    (use, machine, share)
    for use in SpotUse
    for machine in (None, *CLASSES.values())
    for share in (False, True)
]


# ---- rungs --------------------------------------------------------------------------------------


def test_the_share_applies_to_every_ten_workers() -> None:
    workers = [f"w{number:016x}" for number in range(1000)]

    for share in (0, 3, 10):
        spot = sum(is_in_share(worker, share) for worker in workers)
        assert abs(spot - share * 100) < (1 if share in (0, 10) else 60)


@pytest.mark.parametrize(
    ("use", "machine", "share", "rungs"),
    [
        (SpotUse.SHARE, None, False, (ON_DEMAND,)),
        (SpotUse.SHARE, None, True, (SPOT, ON_DEMAND)),
        (SpotUse.FIRST, None, False, (SPOT, ON_DEMAND)),
        (SpotUse.ONLY, None, False, (SPOT,)),
        (SpotUse.NEVER, None, True, (ON_DEMAND,)),
        (SpotUse.SHARE, "both", False, (SPOT, ON_DEMAND)),
        (SpotUse.SHARE, "back", False, (ON_DEMAND, SPOT)),
        (SpotUse.FIRST, "back", False, (SPOT, ON_DEMAND)),
        (SpotUse.NEVER, "both", False, (ON_DEMAND,)),
        (SpotUse.FIRST, "one", False, (ON_DEMAND,)),
        (SpotUse.ONLY, "both", False, (SPOT,)),
    ],
)
def test_rungs_are_those_of_the_node_in_the_order_of_the_class(
    use: SpotUse, machine: str | None, share: bool, rungs: tuple[Rung, ...]
) -> None:
    of = None if machine is None else CLASSES[machine]

    assert rungs_of(use, of, in_share=share) == rungs


@pytest.mark.parametrize(("use", "machine", "share"), LADDERS)
def test_there_is_always_a_rung_that_the_class_has(
    use: SpotUse, machine: MachineClass | None, share: bool
) -> None:
    rungs = rungs_of(use, machine, in_share=share)

    assert rungs
    assert len(set(rungs)) == len(rungs)
    assert machine is None or set(rungs) <= set(machine.rungs)


def test_refused_rung_is_closed_for_a_while_and_the_next_one_is_taken() -> None:
    closed = {SPOT: RungHistory().after_refusal(100.0), ON_DEMAND: RungHistory()}
    both = (SPOT, ON_DEMAND)

    assert place(both, closed, 100.0) is ON_DEMAND
    assert place(both, closed, 159.0) is ON_DEMAND
    assert place(both, closed, 160.0) is SPOT
    assert place((SPOT,), closed, 100.0) is SPOT
    assert opens(both, closed) == 0.0
    assert opens((SPOT,), closed) == 160.0


def test_if_all_rungs_are_closed_the_first_to_open_is_next() -> None:
    histories = {SPOT: RungHistory(2, 300.0), ON_DEMAND: RungHistory(1, 200.0)}

    assert place((SPOT, ON_DEMAND), histories, 100.0) is ON_DEMAND
    assert opens((SPOT, ON_DEMAND), histories) == 200.0


def test_consecutive_refusals_close_a_rung_for_longer_up_to_ten_minutes() -> None:
    history, now, waits = RungHistory(), 0.0, []
    for _ in range(6):
        history = history.after_refusal(now)
        waits.append(history.until - now)
        now = history.until
    assert waits == [60, 120, 300, 600, 600, 600]
    assert history.after_refusal(now - 1) == history  # several workers at once


# ---- every failure, on every ladder -----------------------------------------------------------


def failed(
    reason: str, starts: PoolStarts, rung: Rung, rungs: tuple[Rung, ...], limit: float
) -> Failed:
    return Failed(failure_of(reason), reason or "?", starts.rounds, rung, rungs, limit)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(("use", "machine", "share"), LADDERS)
def test_no_failure_leaves_a_pool_waiting_without_a_reason_and_an_end(
    reason: str, use: SpotUse, machine: MachineClass | None, share: bool
) -> None:
    rungs, limit = rungs_of(use, machine, in_share=share), max_wait(machine)
    starts, now, tries = PoolStarts(), 1000.0, list[Rung]()
    while not starts.given_up:
        assert starts.allowed(1, 0, now) == 1
        rung = place(rungs, starts.histories, now)
        assert rung in rungs
        tries.append(rung)
        starts = starts.after(failed(reason, starts, rung, rungs, limit), now)
        assert starts.reason
        if not starts.given_up and starts.allowed(1, 0, now) == 0:
            assert now < starts.until < float("inf")  # it waits, with a time
            now = starts.until
        assert len(tries) < 200
    assert starts.cause in {Cause.NO_CAPACITY, Cause.NO_WORKER, Cause.IMAGE, Cause.WORKER_LOST}
    assert (starts.cause is Cause.NO_CAPACITY) == (failure_of(reason) in OF_RUNG)
    assert starts.message("image:1")
    if failure_of(reason) in OF_RUNG:
        assert set(tries) == set(rungs)  # every rung was tried
        assert limit <= now - 1000.0 <= limit + DELAYS[-1]
    else:
        assert len(tries) <= MAX_STARTS


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(sorted(OF_RUNG), 2)))
def test_next_rung_is_tried_at_once_after_each_kind_of_refusal(
    first: StartFailure, second: StartFailure
) -> None:
    rungs = (SPOT, ON_DEMAND)
    starts = PoolStarts().after(Failed(first, "a", 0, SPOT, rungs), 0.0)

    assert starts.allowed(5, 0, 0.0) > 0
    assert place(rungs, starts.histories, 0.0) is ON_DEMAND
    starts = starts.after(Failed(second, "b", 0, ON_DEMAND, rungs), 1.0)
    assert starts.allowed(5, 0, 1.0) == 0
    assert starts.until == 60.0  # Spot opens first
    assert place(rungs, starts.histories, starts.until) is SPOT
    assert starts.reason == "b"


def test_capacity_that_returns_forgets_the_wait() -> None:
    starts = PoolStarts()
    for number in range(3):
        starts = starts.after(Failed(StartFailure.CAPACITY, "no", number), starts.until)
    since = starts.since
    up = starts.after_up(starts.rounds)

    assert starts.until > since
    assert (up.since, up.rounds, up.until) == (0.0, 0, 0.0)
    assert up.on_demand.refusals == 0


def test_other_workers_of_the_organisation_that_free_capacity_keep_a_pool_waiting() -> None:
    starts, now = PoolStarts(), 1.0
    for _ in range(100):
        starts = starts.after(
            Failed(StartFailure.NO_ROOM, "", starts.rounds, refused=True, contended=True), now
        )
        assert 0 < starts.until - now <= DELAYS[-1]
        now = starts.until
    assert starts.allowed(1, 0, now) == 1


def test_interruption_of_a_command_closes_spot_but_delays_no_other_rung() -> None:
    starts = PoolStarts(proven=True).after_interruption(SPOT, 0.0)

    assert starts.allowed(5, 0, 0.0) == 5
    assert place((SPOT, ON_DEMAND), starts.histories, 0.0) is ON_DEMAND
    assert starts.after_command(0).spot == starts.spot


def test_class_waits_two_hours_and_fargate_six() -> None:
    assert max_wait(CLASSES["one"]) == MAX_MACHINE_WAIT == 2 * 3600
    assert max_wait(None) == MAX_WAIT == 6 * 3600


# ---- the parameter ------------------------------------------------------------------------------


def test_nodes_with_other_values_have_other_pools_and_a_context_is_never_spot() -> None:
    root = co.Parallel(image="busybox", spot=True)
    root["asked"] = co.Exec("true")
    root["only"] = co.Exec("true", spot="only")
    root["never"] = co.Exec("true", spot=False)
    root["group"] = co.Serial(container_reuse_context=NEW)
    root["group/kept"] = co.Exec("true")
    nodes = resolve(to_launch_form(root)).nodes

    pools = {
        path: pool_of(nodes[path], "abc-def", ())
        for path in ("/asked", "/only", "/never", "/group/kept")
    }

    assert [pool.spot.value for pool in pools.values()] == ["first", "only", "never", "never"]
    assert len({pool.name for pool in pools.values()}) == 4


@pytest.mark.parametrize("written", ["yes", "Only", 2, 0.5])
def test_other_values_are_refused(written: object) -> None:
    root = co.Exec("true", image="busybox", spot=written)  # type: ignore[arg-type]

    with pytest.raises((ValueError, DefinitionError), match="spot must be True, False or 'only'"):
        resolve(to_launch_form(root))
