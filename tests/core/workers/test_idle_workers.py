"""Which Execs may still need an idle worker of a pool."""

from __future__ import annotations

from typing import Any

import pytest

from conducto_core.run.model.states import State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.workers.rules.pools import MAX_COMPARED, exec_in_need, kind_of_exec
from support.trees import lazy, leaf, parallel, pipeline, serial


def _in_need(tree: dict[str, Any], states: dict[str, State]) -> str | None:
    """Return the path of the Exec that needs a worker of the pool of ``/a``."""
    live = TreeState(pipeline(tree))
    for path, state in states.items():
        live.nodes[path].state = state
    first = live.exec_at("/a")
    found = exec_in_need(
        live, kind_of_exec(first), lambda node: node.spec.placement == first.spec.placement
    )
    return None if found is None else found.path


@pytest.mark.parametrize(
    ("rest", "state", "needed"),
    [
        (leaf("b"), State.PENDING, True),
        (leaf("b"), State.QUEUED, True),
        (leaf("b"), State.ERROR, True),
        (leaf("b"), State.RUNNING, False),
        (leaf("b"), State.DONE, False),
        (leaf("b", skip=True), State.PENDING, False),
        (leaf("b", mem=4), State.PENDING, False),
        (leaf("b", cpu=2), State.PENDING, False),
    ],
)
def test_an_exec_needs_a_worker_until_it_runs(
    rest: dict[str, Any], state: State, needed: bool
) -> None:
    assert _in_need(serial("a", rest), {"/a": State.DONE, "/b": state}) == (
        "/b" if needed else None
    )


def test_execs_of_a_skipped_group_need_no_worker() -> None:
    skipped = parallel("c", name="b", skip=True)
    assert _in_need(serial("a", skipped), {"/a": State.DONE}) is None


@pytest.mark.parametrize("state", [State.PENDING, State.RUNNING, State.ERROR])
def test_a_tree_that_is_not_generated_yet_may_need_a_worker(state: State) -> None:
    tree = serial("a", lazy("grow", mem=4))
    found = {"/a": State.DONE, "/grow/Generate": state}
    assert _in_need(tree, found) == "/grow/Generate"


def test_many_similar_execs_of_other_pools_are_not_all_compared() -> None:
    compared: list[str] = []

    def is_member(node: LiveExec) -> bool:
        compared.append(node.path)
        return False

    live = TreeState(pipeline(parallel(*(f"n{n}" for n in range(MAX_COMPARED + 2)))))
    kind = kind_of_exec(live.exec_at("/n0"))
    assert exec_in_need(live, kind, is_member) is live.exec_at("/n1")
    assert len(compared) == MAX_COMPARED
