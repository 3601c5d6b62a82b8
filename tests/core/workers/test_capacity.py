"""Capacity that reuse contexts reserve, and their admission."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto_core.workers.rules.pools import Room, admit, check_fits, claim, extras
from support.trees import lazy, leaf, parallel, pipeline, serial

NEW, GLOBAL = {"container_reuse_context": "new"}, {"container_reuse_context": "global"}


def _extras(root: dict[str, Any]) -> dict[str, int]:
    return extras(pipeline(root).nodes)


def test_a_context_that_runs_everything_itself_needs_no_other_worker() -> None:
    assert _extras(serial("a", parallel("b", "c", name="p"), **NEW)) == {"/": 0}


@pytest.mark.parametrize("outside", [GLOBAL, NEW], ids=["global", "a fresh container"])
def test_nodes_outside_of_the_context_need_one_more_worker(
    outside: dict[str, Any],
) -> None:
    tree = serial("a", leaf("b", **outside), leaf("c", **outside), "d", **NEW)
    assert _extras(tree) == {"/": 1}


def test_nested_context_counts_its_own_needs() -> None:
    inner = serial("b", leaf("c", **GLOBAL), name="inner", **NEW)
    assert _extras(serial("a", inner, **NEW)) == {"/": 2, "/inner": 1}


def test_a_context_without_a_command_of_its_own_has_no_worker() -> None:
    inner = serial(leaf("c", **GLOBAL), name="inner", **NEW)
    assert _extras(serial("a", inner, **NEW)) == {"/": 1, "/inner": 1}


def test_a_tree_that_is_still_to_be_generated_counts_as_one_worker() -> None:
    assert _extras(serial("a", lazy("later"), **NEW)) == {"/": 1}


def test_a_claim_is_the_least_with_which_all_can_finish_in_some_order() -> None:
    """Compared with trying every order."""
    for needs in [n for size in range(5) for n in product(range(4), repeat=size)]:
        orders = [
            max((len(needs) - i + need for i, need in enumerate(order)), default=0)
            for order in permutations(needs)
        ]
        assert claim(needs) == min(orders), needs


def test_context_is_admitted_only_if_all_started_ones_can_finish() -> None:
    both = admit({"g": 1, "h": 1}, {"g": 1, "h": 1}, [], Room(2, 2))
    assert (both.workers, both.withheld) == ({"g": 1}, True)

    second = admit({"h": 1}, {"h": 1}, [1], Room(1, 0))
    assert (second.workers, second.limited, second.withheld) == ({}, False, True)


def test_commands_of_shared_containers_need_a_free_worker_and_nothing_else() -> None:
    assert admit({"p": 2}, {}, [1], Room(1, 0)).workers == {"p": 1}


def test_free_capacity_is_distributed_pool_by_pool() -> None:
    room = Room(5, 5)
    assert admit({"a": 10, "b": 1, "c": 10}, {}, [], room).workers == {"a": 2, "b": 1, "c": 2}
    assert not admit({"a": 1}, {}, [], room).limited
    for workers in (0, -2):
        assert admit({"a": 3}, {}, [], Room(workers, 5)).limited


def test_a_group_that_needs_more_than_the_plan_has_is_refused_with_the_numbers() -> None:
    inner = serial("b", leaf("c", **GLOBAL), name="inner", **NEW)
    nodes = pipeline(serial("x", serial("a", inner, name="outer", **NEW))).nodes

    check_fits(nodes, 3, "free")
    with pytest.raises(DefinitionError, match=r"^/outer: .*needs 3 workers.*'free' allows 2"):
        check_fits(nodes, 2, "free")
