"""The compiler: what it writes, how much, and where it cuts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conducto_core.asl.rules.compiler import Compiled, compile_residual
from conducto_core.asl.rules.naming import Site, execution_input, node_id, pool_name
from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.asl.rules.states import FOREVER_SECONDS, backstop, max_tries, residual
from conducto_core.run.model.states import State
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline
from support.asl.interpreter import Interpreter
from support.asl.lint import max_events, problems, scopes
from support.trees import lazy, leaf, parallel, pipeline, serial

SITE = Site("us-east-1", "123456789012")
STAGE = Site("us-east-1", "123456789012", stage="dev")


def compiled(tree: dict[str, Any], **options: Any) -> Compiled:
    return compile_residual(residual(TreeState(pipeline(tree))), SITE, **options)


def definition(tree: dict[str, Any], **options: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(compiled(tree, **options).top.definition)
    return made


def by_name(path: str) -> str:
    return path.rpartition("/")[2] or "root"


def run(machines: Compiled, fails: frozenset[str] = frozenset()) -> Any:
    """Run machines whose ids are names; return the execution."""
    interpreter = Interpreter()
    for machine in machines.machines:
        interpreter.create(machine)
    execution = interpreter.start(machines.top.arn, execution_input("r1"))
    while offers := interpreter.offers():
        for offer in offers:
            if offer.data["n"] in fails:
                interpreter.fail(offer.token, "ExitCode")
            else:
                interpreter.succeed(offer.token, {})
    return interpreter.executions[execution]


def test_an_exec_is_one_activity_task() -> None:
    states = definition(leaf(max_time=60), ids=by_name)["States"]

    assert states["root"] == {
        "Type": "Task",
        "Resource": SITE.activity(pipeline(leaf()).root),
        "Parameters": {"n": "root", "r.$": "$.r"},
        "TimeoutSeconds": 360,
        "HeartbeatSeconds": 60,
        "Retry": [
            {
                "ErrorEquals": ["States.Timeout", "States.HeartbeatTimeout", "WorkerLost"],
                "MaxAttempts": 2,
            }
        ],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "f"}],
        "ResultSelector": {"e": False},
        "End": True,
    }


def test_a_serial_adds_no_state() -> None:
    states = definition(serial("a", serial("b", "c")), ids=by_name)["States"]

    assert list(states) == ["a", "f", "b", "c"]
    assert [states[name].get("Next") for name in "abc"] == ["b", "c", None]


def test_a_parallel_of_one_adds_no_state() -> None:
    assert set(definition(parallel("a"), ids=by_name)["States"]) == {"a", "f"}


def test_an_exec_costs_one_transition_and_five_events() -> None:
    few, many = run(compiled(serial("a", "b"))), run(compiled(serial(*"abcdefghij")))

    assert many.transitions - few.transitions == 8
    assert many.events - few.events == 8 * 5


@pytest.mark.parametrize("stop", [True, False])
def test_an_exec_in_a_serial_takes_less_than_520_bytes(stop: bool) -> None:
    assert bytes_per_exec(lambda n: serial(*[leaf() for _ in range(n)], stop_on_error=stop)) < 520


def test_an_exec_in_a_parallel_takes_less_than_520_bytes() -> None:
    assert bytes_per_exec(lambda n: parallel(*[leaf() for _ in range(n)])) < 520


def bytes_per_exec(tree: Any) -> float:
    few, many = (len(compiled(tree(n)).top.definition) for n in (100, 300))
    return (many - few) / 200


def test_state_data_holds_nothing_but_ids() -> None:
    secret = leaf("secret", command="echo PASSWORD", env={"KEY": "PASSWORD"})
    tree = serial(parallel(secret, "b"), "c", stop_on_error=False)

    execution = run(compiled(tree, ids=by_name), frozenset({"b"}))

    assert execution.status == "FAILED"
    assert json.loads(execution.data[-2]) == {
        "r": "r1",
        "e": {"root": {}},
        "p": {"e": True},
        "g": {},
    }


def test_a_lost_worker_is_replaced_twice() -> None:
    machines = compiled(serial("a", "b"), ids=by_name)
    interpreter = Interpreter()
    interpreter.create(machines.top)
    interpreter.start(machines.top.arn, execution_input("r1"))

    seen = []
    for _ in range(3):
        (offer,) = interpreter.offers()
        seen.append(offer.data["n"])
        interpreter.fail(offer.token, "WorkerLost")

    assert seen == ["a", "a", "a"]
    assert interpreter.offers() == []


def test_the_same_tree_gives_the_same_machines() -> None:
    tree = parallel(serial("a", "b"), lazy("c"))

    assert compiled(tree) == compiled(tree)


def test_another_tree_gives_another_name() -> None:
    assert compiled(serial("a", "b")).top.name != compiled(serial("b", "a")).top.name


def test_done_nodes_are_not_in_the_machine() -> None:
    tree = TreeState(pipeline(serial("a", "b")))
    tree.set_exec(tree.exec_at("/a"), State.DONE)

    machine = compile_residual(residual(tree), SITE, ids=by_name).top

    assert set(json.loads(machine.definition)["States"]) == {"b", "f"}


def test_empty_residual_compiles_to_succeed() -> None:
    machines = compile_residual(None, SITE)

    assert run(machines).status == "SUCCEEDED"
    assert problems(machines.top.definition) == []


def test_the_resource_is_a_parameter() -> None:
    def queue(spec: NodeSpec) -> str:
        return f"arn:queue:{spec.pool}"

    states = definition(leaf(), ids=by_name, resource=queue)["States"]

    assert states["root"]["Resource"] == "arn:queue:shared"


def test_a_tree_too_large_for_a_machine_becomes_several() -> None:
    machines = compiled(parallel(*[leaf() for _ in range(3_200)])).machines

    assert [machine.tasks for machine in machines] == [1_500, 1_500, 200, 3]


def test_every_machine_of_a_large_tree_is_within_the_limits() -> None:
    wide = [parallel(*[leaf() for _ in range(900)]) for _ in range(2)]
    tree = serial(*wide, *[leaf() for _ in range(1_600)], stop_on_error=False)

    machines = compiled(tree).machines

    assert len(machines) > 2
    for machine in machines:
        assert machine.tasks <= MAX_SIZE.tasks
        assert len(machine.definition) <= MAX_SIZE.size
        assert max_events(json.loads(machine.definition)) <= machine.events <= 25_000
        assert problems(machine.definition, machine.name) == []


def test_nested_machines_come_before_those_that_run_them() -> None:
    machines = compiled(parallel(*[leaf() for _ in range(40)]), maximum=Size(4, 9**9, 9**9, 4))

    known: set[str] = set()
    for machine in machines.machines:
        for scope in scopes(json.loads(machine.definition)):
            for state in scope["States"].values():
                nested = state.get("Parameters", {}).get("StateMachineArn")
                assert nested is None or nested in known
        known.add(machine.arn)


def test_a_deep_tree_is_cut_by_depth() -> None:
    tree: dict[str, Any] = leaf()
    for _ in range(150):  # our interpreter recurses as deep
        tree = parallel(leaf(), tree)

    machines = compiled(tree)

    assert len(machines.machines) == 4
    assert run(machines).status == "SUCCEEDED"


def test_the_backstop_is_longer_than_all_tries_together() -> None:
    retry = [["error", ["retry", {"max_num_retries": 3}]]]
    (spec,) = pipeline(leaf(max_time=100, callbacks=retry)).execs()

    assert backstop(spec) == 4 * 100 + 300


def test_the_backstop_is_at_most_a_year() -> None:
    (spec,) = pipeline(leaf(max_time="400d")).execs()

    assert backstop(spec) == FOREVER_SECONDS


def test_memory_is_raised_once_for_each_limit() -> None:
    more = [["error", ["handle_memory_errors", {"mem_limits": [4, 8]}]]]
    (spec,) = pipeline(leaf(callbacks=more)).execs()

    assert max_tries(spec.callbacks) == 3


def test_ids_are_names_that_every_part_of_a_definition_takes() -> None:
    ids = {node_id(f"/a/{n}") for n in range(2_000)}

    assert len(ids) == 2_000
    assert all(len(i) == 9 and i[0].isalpha() and i.isalnum() and i.isascii() for i in ids)


def pools(tree: dict[str, Any]) -> set[str]:
    resolved: Pipeline = pipeline(tree)
    return {pool_name(spec) for spec in resolved.execs()}


def test_execs_of_the_same_size_share_a_pool() -> None:
    assert len(pools(parallel(leaf(env={"A": "1"}), leaf(env={"A": "2"})))) == 1


def test_execs_of_another_size_have_another_pool() -> None:
    assert len(pools(parallel(leaf(cpu=1), leaf(cpu=2), leaf(cpu=1, mem=8)))) == 3


def test_reuse_context_is_one_pool_for_different_requests() -> None:
    tree = serial(leaf(cpu=1), leaf(cpu=2), container_reuse_context="new")

    assert len(pools(tree)) == 1


def test_a_retry_with_more_memory_goes_to_another_pool() -> None:
    tree = TreeState(pipeline(serial("a")))
    before = residual(tree)
    tree.exec_at("/a").mem = 16.0

    after = residual(tree)

    assert before is not None
    assert after is not None
    assert {pool_name(s) for s in before.execs()} != {pool_name(s) for s in after.execs()}


def test_machines_of_a_run_have_its_name() -> None:
    tree = parallel(*[serial("a", "b", name=f"s{n}") for n in range(6)])
    machines = compiled(tree, run="abc-def-12", maximum=Size(3, 900_000, 24_000, 40)).machines

    assert len(machines) > 1
    assert {SITE.run_of(machine.name) for machine in machines} == {"abc-def-12"}
    assert all(problems(each.definition, each.name) == [] for each in machines)


def test_machine_without_a_run_has_no_run() -> None:
    assert SITE.run_of(compiled(serial("a")).top.name) is None
    assert SITE.run_of("somebody-elses_machine") is None
    assert SITE.run_of("conducto-_0123") is None


@pytest.mark.parametrize("stage", ["prod", "de", "dev-2", "d"])
def test_a_stage_knows_its_own_machines_alone(stage: str) -> None:
    other = replace(STAGE, stage=stage)

    assert STAGE.run_of(STAGE.machine_name("{}", "abc-def-12")) == "abc-def-12"
    assert STAGE.run_of(other.machine_name("{}", "abc-def-12")) is None
    assert STAGE.run_of(SITE.machine_name("{}", "abc-def-12")) is None


def test_a_pool_has_an_activity_of_its_own_at_each_stage() -> None:
    (spec,) = pipeline(leaf()).execs()
    names = {replace(STAGE, stage=s).activity_name(pool_name(spec)) for s in ("", "a", "a-b")}

    assert len(names) == 3
    assert pool_name(spec) in names
    assert STAGE.activity(spec).endswith(f":{STAGE.activity_name(pool_name(spec))}")


@pytest.mark.parametrize("run", ["", "abc-def-1", "abc-def-12345", "abc-def-1234567890"])
def test_the_longest_name_of_a_machine_is_one_that_aws_takes(run: str) -> None:
    site = replace(STAGE, stage="s" + 15 * "-")
    names = {site.machine_name(text, run) for text in ("{}", '{"a":1}')}

    assert len(names) == 2
    assert all(len(name) <= 80 for name in names)
    assert {site.run_of(name) for name in names} == {run or None}
