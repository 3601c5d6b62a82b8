"""Memory by history: the sizes of ``mem="auto"``."""

from __future__ import annotations

from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.forecast import estimate
from conducto_core.machines.model import MemoryUse, MemoryUses
from conducto_core.machines.rules import MACHINES_PART
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.programs.rules.memory import (
    MEMORY_PART,
    asks_for_history,
    memory_uses,
    uses_in,
    written_uses,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.outcomes import FAIL, Failure, decide_failure
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.provenance import parameters
from conducto_core.tree.rules.resolve import resolve, resolve_generated

GB = 2**30
DEFAULT = "no earlier attempt of this program is known: the default"


def attempt(gb: float | None, state: State = State.DONE, **more: Any) -> AttemptRecord:
    peak = None if gb is None else round(gb * GB)
    return AttemptRecord(path="/a", number=1, state=state, peak_memory=peak, **more)


def tree(
    used: float | None, most: float | None = 30.0, machines: str = "", **node: Any
) -> Pipeline:
    root = co.Serial(image="busybox", mem="auto")
    root["a"] = co.Exec("true", **node)
    uses = {} if used is None else {"/a": MemoryUse(used, 40)}
    form = {**to_launch_form(root), MEMORY_PART: written_uses(MemoryUses(uses, most))}
    return resolve({**form, MACHINES_PART: {"m": machines}} if machines else form)


def size(used: float | None, **more: Any) -> float:
    return tree(used, **more).nodes["/a"].placement.mem


def test_the_use_is_the_99th_percentile_of_attempts_that_passed_or_ran_out_of_memory() -> None:
    found = memory_uses(attempt(peak) for peak in (*[1.0] * 98, 2.0, 50.0))
    assert found["/a"] == (2.0, 100)

    killed = attempt(1.0, State.KILLED, cause=Cause.OUT_OF_MEMORY, mem=4.0)
    early = attempt(9.0, State.ERROR, cause=Cause.EXIT_CODE)
    assert memory_uses([attempt(1.0), killed, early, attempt(None)]) == {"/a": (4.0, 2)}


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (None, 2.0),  # no history
        (0.01, 0.25),  # the smallest worker has 0.5 GB, of which the agent gets a quarter
        (0.3, 0.75),
        (2.1, 2.75),  # 2.73, rounded up
        (2.2, 3.75),
        (20.0, 26.75),
        (30.0, 30.0),  # the maximum here
    ],
)
def test_the_size_is_a_third_more_than_was_used(used: float | None, expected: float) -> None:
    assert size(used) == expected


def test_the_size_is_bounded_by_the_machine_its_class_and_services() -> None:
    services = {"db": co.Service("postgres:16", ready="true", mem=4)}

    assert size(25.0, most=16.0) == 16.0
    assert size(25.0, most=16.0, services=services) == 12.0
    assert size(900.0, most=None) == 1184.0  # in steps of 16 GB above the largest of Fargate
    assert size(900.0, machines="big=r7i.16xlarge@4.5", machine="big") == 512 * 0.9 - 0.25
    assert size(None, most=1.0) == 1.0


def test_a_number_replaces_auto_and_generated_nodes_inherit_it() -> None:
    assert size(5.0, mem=3) == 3
    root = co.Serial(image="busybox", mem="auto")
    root["lazy"] = co.Lazy("print")
    form = to_launch_form(root)
    target = next(node.lazy_target for node in resolve(form).nodes.values() if node.lazy_target)
    uses = {f"{target}/b": MemoryUse(2.1, 3)}
    pipeline = resolve({**form, MEMORY_PART: written_uses(MemoryUses(uses, 30.0))})
    generated = co.Serial()
    generated["b"] = co.Exec("true")

    made = resolve_generated(to_launch_form(generated), target, pipeline)

    assert made.nodes[f"{target}/b"].placement.mem == 2.75


def test_plan_and_node_show_the_size_and_the_reason() -> None:
    pipeline = tree(2.1)
    reason = "p99 of 40 attempts is 2.1 GB, x 1.3"

    assert f"/a: mem='auto' is 2.75 GB: {reason}" in estimate(pipeline, max_workers=2).notes
    shown = {each.name: each for each in parameters([pipeline.nodes["/a"], pipeline.nodes["/"]])}
    assert (shown["mem"].value, shown["mem_auto"].value) == (2.75, reason)
    assert shown["mem_auto"].source == "/"
    assert tree(None).nodes["/a"].auto_mem == DEFAULT
    assert tree(25.0, most=16.0).nodes["/a"].auto_mem.endswith("16 GB is the maximum here")


def test_a_command_that_runs_out_of_memory_gets_twice_as_much() -> None:
    def next_size(mem: float, cause: Cause, most: float | None = None, **node: Any) -> float | None:
        callbacks = tree(2.1, **node).nodes["/a"].callbacks
        failure = Failure(State.KILLED, cause, 1, mem, 5.0, max_mem=most)
        found = decide_failure(callbacks, failure)
        return None if found is FAIL else found.mem

    assert next_size(2.75, Cause.OUT_OF_MEMORY) == 5.5
    assert next_size(11.0, Cause.OUT_OF_MEMORY) == 22.0
    assert next_size(22.0, Cause.OUT_OF_MEMORY) is None
    assert next_size(2.75, Cause.OUT_OF_MEMORY, most=4.0) == 4.0
    assert next_size(2.75, Cause.EXIT_CODE) is None


def test_the_authors_callback_decides_about_the_memory_of_retries() -> None:
    root = co.Serial(image="busybox", mem="auto")
    root["a"] = co.Exec("true")
    root.on_error(co.callback.retry_with_double_mem(1, inherited=True))

    (callback,) = resolve(to_launch_form(root)).nodes["/a"].callbacks

    assert callback.name == "retry_with_double_mem"


def test_history_does_not_count_as_an_input() -> None:
    def of(pipeline: Pipeline) -> str | None:
        return fingerprint(pipeline.nodes["/a"], "true", "sha256:1", {})

    assert of(tree(2.1)) == of(tree(20.0))
    assert of(tree(2.1)) != of(tree(2.1, mem=2.75))


def test_only_a_tree_that_says_auto_asks_for_history() -> None:
    def asks(mem: Any) -> bool:
        return asks_for_history(to_launch_form(co.Exec("true", image="busybox", mem=mem)))

    assert (asks("auto"), asks(2), asks(None)) == (True, False, False)
    assert not any(asks_for_history(junk) for junk in ({}, {"nodes": 3}, {"nodes": ["x"]}))


@pytest.mark.parametrize(
    "part", [3, [], {}, {"uses": 1, "most": 2}, {"uses": {"/a": 1}, "most": 2}]
)
def test_an_invalid_part_is_rejected(part: object) -> None:
    with pytest.raises(ValueError, match="memory: expected uses and most"):
        uses_in(part)


@pytest.mark.parametrize("mem", ["automatic", "2", "", 0, -1, float("nan"), True])
def test_other_values_are_rejected(mem: Any) -> None:
    form = to_launch_form(co.Exec("true", image="busybox"))
    form["nodes"][0]["mem"] = mem

    with pytest.raises(DefinitionError, match="/: mem must be"):
        resolve(form)
