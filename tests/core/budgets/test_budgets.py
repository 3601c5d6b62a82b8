"""Budgets: the arithmetic, the sentences, and the price before a launch."""

from __future__ import annotations

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.forecast import price_range
from conducto_core.budgets.rules import (
    PriceRange,
    affordable,
    is_used_up,
    minute_of,
    price_line,
    too_low,
    used_up,
    with_budget,
)
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.rules.fargate import Size
from support.trees import form, leaf, serial


@pytest.mark.parametrize(
    ("budget", "committed", "number"),
    [(1.0, 0.0, 5), (1.0, 0.5, 2), (1.0, 0.8, 1), (1.0, 0.81, 0), (1.0, 7.0, 0)],
)
def test_commands_start_while_a_minute_of_each_fits(
    budget: float, committed: float, number: int
) -> None:
    assert affordable(budget, committed, 0.2) == number


def test_price_of_a_minute_is_that_of_aws() -> None:
    by_hand = (0.04048 + 3 * 0.004445 + 0.005) / 60

    assert minute_of(Size(1.0, 3.0)) == pytest.approx(by_hand)


def test_problem_of_a_paused_pipeline_is_recognised() -> None:
    problem = used_up("/train", 5.0, 5.25)

    assert problem == "the budget of $5.00 of /train is used up: it has cost $5.25 so far"
    assert is_used_up(problem)
    assert not is_used_up("the disk is full")
    assert not is_used_up(None)


def test_budget_must_exceed_the_cost_so_far() -> None:
    assert too_low("/a", 2.0, 1.5) is None
    assert "budget=1 is not above the cost of /a so far, $1.50" in str(too_low("/a", 1.0, 1.5))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            ((0.4, 0.9, 2.1), None),
            "about $0.40 to $0.90, at most $2.10 by the time limits; budget none",
        ),
        (((0.4, 0.4, 2.1), 5.0), "about $0.40, at most $2.10 by the time limits; budget $5.00"),
        (((None, None, 2.1), None), "at most $2.10 by the time limits; budget none"),
        (
            ((0.0001, 0.02, 2.1), None),
            "about $0.01 to $0.02, at most $2.10 by the time limits; budget none",
        ),
    ],
)
def test_price_is_one_line(values: tuple[PriceRange, float | None], line: str) -> None:
    assert price_line(*values) == line


def test_price_of_the_organisation_precedes_that_of_aws() -> None:
    assert price_line((0.4, 0.9, 2.1), 5.0, (0.6, 1.3, 3.0)) == (
        "about $0.60 to $1.30, at most $3.00 by the time limits; at AWS's prices about $0.40 to "
        "$0.90, at most $2.10, budget $5.00"
    )


def test_price_range_is_between_earlier_runs_and_time_limits() -> None:
    tree = resolve(form(serial(leaf("a", max_time=3600), leaf("b", max_time=7200))))

    low, high, most = price_range(tree, [{"/a": 60.0, "/b": 60.0}, {"/a": 600.0, "/b": 60.0}], 2)

    hour = (0.04048 + 3 * 0.004445 + 0.005) * 1.0
    assert low is not None
    assert high is not None
    assert low < high < most
    assert 3 * hour < most < 3.2 * hour
    assert price_range(tree, [], 2)[0] is None


def test_tree_is_launched_again_with_another_budget() -> None:
    root = co.Serial(image="debian", budget=9)
    root["a"] = co.Exec("true", budget=3)
    written = to_launch_form(root)

    resolved = resolve(with_budget(written, 2.0)).nodes

    assert {path: node.budget for path, node in resolved.items()} == {"/": 2.0, "/a": 3.0}
    assert resolve(written).nodes["/"].budget == 9.0
