"""Cost estimates of launches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from conducto.errors import DefinitionError
from conducto_core.asl.rules.forecast import (
    ASSUMED_SECONDS,
    START_SECONDS,
    Conditions,
    estimate,
    forecast,
)
from conducto_core.billing.rules import request_dollars
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.rules.fargate import (
    AGENT_MEM,
    PRICES,
    SIZES,
    Size,
    rounding_note,
    size_for,
)
from support.trees import form, leaf, parallel, pipeline, serial

if TYPE_CHECKING:
    from types import FrameType


@pytest.mark.parametrize(
    ("cpu", "mem", "size"),
    [
        pytest.param(0.25, 0.25, Size(0.25, 0.5), id="the smallest"),
        pytest.param(0.25, 0.5, Size(0.25, 1.0), id="the agent is on top"),
        pytest.param(1.0, 2.0, Size(1.0, 3.0), id="the default node"),
        pytest.param(0.25, 3.0, Size(0.5, 4.0), id="more memory than its vCPUs can have"),
        pytest.param(3.0, 1.0, Size(4.0, 8.0), id="vCPUs rounded up"),
        pytest.param(16.0, 119.0, Size(16.0, 120.0), id="the largest with 16 vCPUs"),
        pytest.param(17.0, 2.0, Size(32.0, 60.0), id="more than 16 vCPUs"),
        pytest.param(2.0, 120.0, Size(32.0, 244.0), id="more than 120 GB"),
        pytest.param(32.0, 243.875, Size(32.0, 244.0), id="the largest"),
    ],
)
def test_a_node_gets_the_cheapest_worker_that_holds_it(cpu: float, mem: float, size: Size) -> None:
    assert size_for("/a", cpu, mem) == size


def test_every_size_is_large_enough_for_its_request() -> None:
    for cpu, choices in SIZES.items():
        for mem in choices:
            chosen = size_for("/a", cpu, mem - AGENT_MEM)

            assert chosen.cpu >= cpu
            assert chosen.mem >= mem
            assert PRICES.worker_hour(chosen) <= PRICES.worker_hour(Size(cpu, mem))


def test_more_than_the_largest_is_refused_with_the_node() -> None:
    with pytest.raises(DefinitionError, match="/train: cpu=33 and mem=2 are more than Fargate has"):
        size_for("/train", 33, 2)


def test_changed_size_is_reported() -> None:
    assert rounding_note("/a", 1.0, 2.0) is None
    assert rounding_note("/a", 3.0, 1.0) == "/a: cpu=3 mem=1 runs in a worker of 4 vCPU and 8 GB"


def test_a_parallel_of_ten_takes_as_many_workers_as_the_plan_allows() -> None:
    found = estimate(resolve(form(parallel(*[leaf() for _ in range(10)]))), max_workers=4)

    (pool,) = found.pools
    assert (pool.execs, pool.workers) == (10, 4)
    # Two of the workers run three commands; all stop when no command is left to start.
    assert pool.worker_seconds == 10 * ASSUMED_SECONDS + 4 * START_SECONDS
    assert found.dollars == pytest.approx(
        pool.worker_seconds / 3600 * PRICES.worker_hour(Size(1.0, 3.0))
        + found.transitions * PRICES.transition
        + request_dollars(10, pool.worker_seconds)
    )


def test_history_is_better_than_the_assumption() -> None:
    found = estimate(resolve(form(parallel(leaf(), leaf()))), history={"/n0": 5.0}, max_workers=1)

    assert found.known == 1
    assert found.pools[0].seconds == 5.0 + ASSUMED_SECONDS


def test_a_serial_takes_one_worker_after_the_other_things() -> None:
    found = estimate(resolve(form(serial(*[leaf() for _ in range(5)]))), max_workers=4)

    assert found.pools[0].workers == 1


def _workers(tree: dict[str, Any], seconds: dict[str, float], workers: int) -> list[list[float]]:
    pipeline = resolve(form(tree))
    pools = forecast(pipeline, seconds, Conditions(workers, start_seconds=40, idle_seconds=60))
    return [sorted(pool.lives) for pool in pools.values()]


def test_worker_that_waits_for_too_long_stops_and_another_starts() -> None:
    tree = serial(leaf("a"), leaf("large", cpu=4), leaf("b"))
    seconds = {"/a": 10.0, "/large": 100.0, "/b": 10.0}

    # The worker of a waits for 60 of the 140 seconds of the other pool.
    assert _workers(tree, seconds, 9) == [[40 + 10, 40 + 10 + 60], [40 + 100]]
    # Without room for two workers, it stops as soon as the other is needed.
    assert _workers(tree, seconds, 1) == [[40 + 10, 40 + 10], [40 + 100]]


def test_no_more_workers_start_than_commands_may_run_at_once() -> None:
    tree = parallel(*(leaf() for _ in range(6)), max_concurrent=2)

    assert _workers(tree, {f"/n{n}": 10.0 for n in range(6)}, 9) == [[40 + 30] * 2]


def test_workers_are_reused_by_the_next_groups() -> None:
    tree = serial(*(parallel(*(leaf() for _ in range(500))) for _ in range(4)))
    seconds = {path: 1.0 for path, node in resolve(form(tree)).nodes.items() if not node.children}

    (lives,) = _workers(tree, seconds, 1000)
    assert (len(lives), sum(lives)) == (500, 500 * (40 + 4))


def test_work_of_a_forecast_grows_with_the_number_of_limited_groups() -> None:
    def calls(groups: int) -> int:
        """Return the number of function calls of a forecast."""
        limited = [
            parallel(leaf("a"), leaf("b"), leaf("c"), name=f"g{number}", max_concurrent=2)
            for number in range(groups)
        ]
        tree = pipeline(parallel(*limited))
        seconds = {path: 60.0 for path, spec in tree.nodes.items() if not spec.children}
        found = 0

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal found
            found += event == "call"

        sys.setprofile(count)
        try:
            forecast(tree, seconds, Conditions(max_workers=2))
        finally:
            sys.setprofile(None)
        return found

    assert calls(200) < 2.5 * calls(100)
