"""Maps in the pure rules: failures that are tolerated, collected results, references in trees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto.wire.maps import GIVEN, MapOptions
from conducto_core.asl.rules.machine import FAILED, CloudMachine, CompleteTask
from conducto_core.asl.rules.naming import node_id
from conducto_core.asl.rules.states import residual
from conducto_core.programs.model import Fate
from conducto_core.programs.rules.continuation import plan
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.results.rules import (
    Attempt,
    MissingResultError,
    inputs_text,
    read_sources,
    sources_of,
)
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.outcomes import tolerated_failures
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.resolve import resolve, resolve_generated, resolve_grown
from support.trees import FAILS, Driver, form, lazy, leaf, parallel, pipeline, serial


def a_map(*names: str, name: str = "m", **options: Any) -> dict[str, Any]:
    return parallel(*names, name=name, map=options)


def lazy_map(name: str = "m", **options: Any) -> dict[str, Any]:
    return {**lazy(name), "map": options}


def with_user(group: dict[str, Any]) -> dict[str, Any]:
    return serial(group, leaf("use", results=[f"/{group['name']}"]))


def ran(tree: dict[str, Any], *fails: str) -> TreeState:
    driver = Driver(tree)
    driver.run(lambda path, _number: FAILS if path in fails else None)
    return driver.tree


# ---- min_done ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "min_done", "tolerated"),
    [
        (0, 0.95, 0),
        (1, 0.95, 0),
        (19, 0.95, 0),
        (20, 0.95, 1),
        (21, 0.95, 1),
        (100, 0.95, 5),
        (100_000, 0.95, 5_000),
        (100, 0.29, 71),  # 0.29 * 100 is 28.999999999999996
        (100, 0.55, 45),  # 0.55 * 100 is 55.00000000000001
        (10, 1, 0),
        (10, 0, 10),
        (3, 1e-05, 2),
    ],
)
def test_tolerated_failures_are_counted_exactly(
    total: int, min_done: float, tolerated: int
) -> None:
    assert tolerated_failures(total, MapOptions(min_done)) == tolerated


def test_other_groups_tolerate_no_failure() -> None:
    assert tolerated_failures(10, None) == 0


@pytest.mark.parametrize(
    ("fails", "state", "warning"),
    [((), State.DONE, False), (("a",), State.DONE, True), (("a", "b"), State.ERROR, False)],
)
def test_map_with_few_failures_is_done_with_a_warning(
    fails: tuple[str, ...], state: State, warning: bool
) -> None:
    tree = ran(serial(a_map(*"abcd", min_done=0.75), "z"), *(f"/m/{name}" for name in fails))

    assert (tree.nodes["/m"].state, tree.nodes["/m"].warning) == (state, warning)
    assert tree.nodes["/z"].state is (State.DONE if state is State.DONE else State.PENDING)
    assert tree.root.warning is warning


def test_map_waits_for_all_items_even_if_it_cannot_succeed() -> None:
    driver = Driver(serial(a_map(*"abc", min_done=1)))
    driver.start("/m/a")
    driver.finish("/m/a", FAILS)

    assert driver.state("/m") is State.RUNNING


def test_lazy_around_a_map_tolerates_no_failure() -> None:
    cloud = CloudMachine("p", TreeState(pipeline(serial(lazy_map(min_done=0.5)))))
    cloud.apply(ev.Armed())

    assert _finished(cloud, "/m/Generate", FAILS) == [FAILED]
    assert cloud.tree.nodes["/m"].state is State.ERROR


def test_empty_map_is_done() -> None:
    assert ran(serial(a_map(min_done=0.95), "z")).root.state is State.DONE


def test_replies_to_the_graph_end_it_like_the_map_in_every_order() -> None:
    """The graph is a Parallel, which fails if a task does; it cannot count."""
    for total, min_done in product(range(1, 5), (0, 0.5, 0.75, 1)):
        names = "abcd"[:total]
        for order in permutations(names):
            for outcomes in product((None, FAILS), repeat=total):
                cloud = CloudMachine(
                    "p", TreeState(pipeline(serial(a_map(*names, min_done=min_done))))
                )
                cloud.apply(ev.Armed())
                replies = [
                    reply
                    for name, cause in zip(order, outcomes, strict=True)
                    for reply in _finished(cloud, f"/m/{name}", cause)
                ]
                state = cloud.tree.nodes["/m"].state
                graph = State.ERROR if FAILED in replies else State.DONE
                assert graph is state, (order, outcomes, min_done)
                assert len(replies) == total


def _finished(cloud: CloudMachine, path: str, cause: Cause | None) -> list[str | None]:
    cloud.claim(path, cloud.run, node_id(path), waits=False)
    cloud.start(path)
    commands = cloud.finish(path, cause).machine_commands
    return [command.error for command in commands if isinstance(command, CompleteTask)]


def test_new_graph_leaves_out_failures_that_are_tolerated() -> None:
    driver = Driver(serial(a_map(*"abcd", min_done=0.5), "z"))
    for name in "ab":
        driver.start(f"/m/{name}")
        driver.finish(f"/m/{name}", FAILS)

    rest = residual(driver.tree)

    assert rest is not None
    group = rest.children[0]
    assert [child.spec.path for child in group.children] == ["/m/c", "/m/d"]


def test_new_graph_of_a_map_that_cannot_succeed_fails() -> None:
    driver = Driver(serial(a_map(*"abcd", min_done=0.5)))
    for name in "abc":
        driver.start(f"/m/{name}")
        driver.finish(f"/m/{name}", FAILS)

    rest = residual(driver.tree)

    assert rest is not None
    assert [child.failed for child in rest.children[0].children] == [True, True, True, False]


# ---- collected results ---------------------------------------------------------------------


def read(values: dict[str, bytes]) -> Any:
    def reading(attempts: Sequence[Attempt]) -> list[bytes]:
        return [values.get(each.path, b"") for each in attempts]

    return reading


def collected(tree: TreeState, values: dict[str, bytes]) -> bytes:
    sources = sources_of(tree.nodes["/use"].spec, tree.nodes)
    return read_sources(sources, read(values))["/m"]


VALUES = {"/m/b": b'{"x":1}', "/m/a": b"2", "/m/c": b"null"}


def test_results_are_in_the_order_of_the_items() -> None:
    assert collected(ran(with_user(a_map(*"bac"))), VALUES) == b'[{"x":1},2,null]'


def test_empty_map_has_an_empty_list() -> None:
    assert collected(ran(with_user(a_map())), {}) == b"[]"


@pytest.mark.parametrize(
    ("missing", "expected"), [("none", b'[{"x":1},null,null]'), ("drop", b'[{"x":1},null]')]
)
def test_item_without_a_result_is_null_or_left_out(missing: str, expected: bytes) -> None:
    tree = ran(with_user(a_map(*"bac", min_done=0.5, missing=missing)), "/m/a")

    assert collected(tree, VALUES) == expected
    assert collected(ran(with_user(a_map(*"bac", missing=missing))), {**VALUES, "/m/a": b""}) == (
        expected
    )


def test_item_without_a_result_fails_the_user_without_a_choice() -> None:
    with pytest.raises(MissingResultError, match="results of /m, but item 1 has none"):
        collected(ran(with_user(a_map(*"bac"))), {**VALUES, "/m/a": b""})


def test_result_of_a_suppressed_failure_is_missing() -> None:
    group = parallel(leaf("a", suppress_errors=True), "b", name="m", map={"missing": "drop"})

    assert collected(ran(with_user(group), "/m/a"), VALUES) == b'[{"x":1}]'


def test_results_that_are_too_large_are_not_read_to_the_end() -> None:
    names = [str(number) for number in range(50)]
    tree = ran(with_user(a_map(*names)))
    were_read: list[str] = []

    def reading(attempts: Sequence[Attempt]) -> Any:
        for each in attempts:
            were_read.append(each.path)
            yield b"1" * (1 << 20)

    with pytest.raises(MissingResultError, match="or more together; the maximum is 4,194,304"):
        read_sources(sources_of(tree.nodes["/use"].spec, tree.nodes), reading)
    assert len(were_read) == 5


def test_unfinished_map_has_no_results() -> None:
    driver = Driver(with_user(a_map("a")))

    with pytest.raises(MissingResultError, match="but /m is running; run /m first"):
        sources_of(driver.tree.nodes["/use"].spec, driver.tree.nodes)


@pytest.mark.long
def test_a_hundred_thousand_results_are_collected() -> None:
    names = [f"item {number}" for number in range(100_000)]
    tree = TreeState(pipeline(with_user(a_map(*names, min_done=0.95, missing="drop"))))
    advance(tree, ev.Armed())
    for name in names:
        path = f"/m/{name}"
        advance(tree, ev.AttemptStarted(path, 1))
        cause = FAILS if name == "item 7" else None
        advance(tree, ev.AttemptFinished(path, 1, cause))
    values = {f"/m/{name}": str(number).encode() for number, name in enumerate(names)}

    found = collected(tree, values)

    assert found.startswith(b"[0,1,2,3,4,5,6,8,9,")
    assert found.count(b",") == 99_998
    assert (tree.nodes["/m"].state, tree.nodes["/m"].warning) == (State.DONE, True)
    assert inputs_text({"/m": found}).startswith('{"/m":[0,1,2')


# ---- references in generated trees -----------------------------------------------------------


def generated(tree: dict[str, Any], here: Pipeline, target: str = "/l/Execute") -> Pipeline:
    return resolve_generated(form(tree), target, here)


HERE = pipeline(serial("plan", lazy("l"), "after"))


def test_reference_to_a_node_of_the_same_tree_moves_with_it() -> None:
    nodes = generated(serial("a", leaf("b", results=["/a", "/plan"])), HERE).nodes

    user = nodes["/l/Execute/b"]
    assert user.results == ("/l/Execute/a", "/plan")
    assert user.result_names == ("/a", "/plan")


def test_node_of_the_same_tree_hides_one_of_the_pipeline() -> None:
    nodes = generated(serial("plan", leaf("b", results=["/plan"])), HERE).nodes

    assert nodes["/l/Execute/b"].results == ("/l/Execute/plan",)


def test_command_knows_results_by_its_own_names() -> None:
    driver = Driver(HERE)
    driver.start("/plan")
    driver.finish("/plan")
    driver.start("/l/Generate")
    tree = serial("a", leaf("b", results=["/a", "/plan"]))
    driver.generate("/l/Generate", generated(tree, HERE).nodes)
    driver.start("/l/Execute/a")
    driver.finish("/l/Execute/a")

    sources = sources_of(driver.tree.nodes["/l/Execute/b"].spec, driver.tree.nodes)

    values = {"/l/Execute/a": b"1", "/plan": b"2"}
    assert read_sources(sources, read(values)) == {"/a": b"1", "/plan": b"2"}


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (serial("a", leaf("b", results=["/c"])), "/l/Execute/b: .*/c, but the tree has no such"),
        (parallel("a", leaf("b", results=["/a"])), "/l/Execute is a Parallel"),
        (serial(leaf("b", results=["/a"]), "a"), "which comes after it in /l/Execute"),
        (serial(leaf("b", results=["/after"])), "which comes after it in /"),
        (serial(leaf("b", results=["/l/Generate"])), "which prints a tree"),
        (serial(leaf("b", results=["/l/Execute/old"])), "the tree has no such node"),
    ],
)
def test_rule_about_results_applies_to_the_joined_tree(tree: Any, reason: str) -> None:
    nodes = {**HERE.nodes, **generated(serial("old"), HERE).nodes}

    with pytest.raises(DefinitionError, match=reason):
        generated(tree, Pipeline(nodes, HERE.images))


def test_map_passes_on_the_results_that_its_command_knows() -> None:
    """Also in a generated tree, and if an item has the name of such a node."""
    group = {**lazy("m"), "map": {}}
    group["children"][0][1]["results"] = ["/plan", "/a"]
    outer = generated(serial("a", group), HERE)
    here = Pipeline({**HERE.nodes, **outer.nodes}, HERE.images)
    items = form(parallel(leaf("plan", results=["/plan", "/a"]), "a", map={}))

    made = resolve_generated({**items, GIVEN: True}, "/l/Execute/m/Execute", here)

    user = made.nodes["/l/Execute/m/Execute/plan"]
    assert user.results == ("/plan", "/l/Execute/a")
    assert user.result_names == ("/plan", "/a")


def test_generated_tree_that_is_one_command_may_use_results() -> None:
    nodes = generated(leaf(results=["/plan"]), HERE).nodes

    assert nodes["/l/Execute/exec"].results == ("/plan",)


def test_maps_nest() -> None:
    """A map in a generated tree: its results are used there, by a Lazy map of that tree, too."""
    inner = serial(
        a_map("a", "b", name="first"),
        {**lazy("second"), "map": {}},
        leaf("use", results=["/first", "/second"]),
    )
    inner["children"][1][1]["children"][0][1]["results"] = ["/first"]

    made = resolve_grown(
        form(serial("plan", lazy("l"), "after")),
        [
            ("/l/Execute", form(inner)),
            ("/l/Execute/second/Execute", form(parallel("x", "y", map={}))),
        ],
    )

    nodes = made.nodes
    assert nodes["/l/Execute/second/Generate"].results == ("/l/Execute/first",)
    tree = ran_pipeline(made)
    sources = sources_of(nodes["/l/Execute/use"], tree.nodes)
    values = {path: path[-1:].encode().hex().encode() for path in nodes}
    assert read_sources(sources, read(values)) == {"/first": b"[61,62]", "/second": b"[78,79]"}


def ran_pipeline(made: Pipeline) -> TreeState:
    driver = Driver(made)
    driver.run()
    return driver.tree


# ---- the tree that replaces another one ----------------------------------------------------


def fates(before: dict[str, Any], after: dict[str, Any], *fails: str) -> dict[str, bool]:
    """Return ``{path: it is kept}``."""

    def prints(nodes: Any) -> dict[str, str | None]:
        return {
            path: fingerprint(spec, spec.command, "sha256:1", "v1")
            for path, spec in nodes.items()
            if spec.type == "Exec"
        }

    old, nodes = ran(before, *fails), pipeline(after).nodes
    made = plan(old, prints(resolve(form(before)).nodes), nodes, prints(nodes))
    return {path: each.fate is Fate.KEPT for path, each in made.execs.items()}


def test_added_item_runs_with_the_command_that_collects() -> None:
    before, after = with_user(a_map("a", "b")), with_user(a_map("a", "b", "c"))

    assert fates(before, before) == {"/m/a": True, "/m/b": True, "/use": True}
    assert fates(before, after) == {"/m/a": True, "/m/b": True, "/m/c": False, "/use": False}


def test_another_treatment_of_missing_items_runs_the_command_that_collects() -> None:
    before = with_user(a_map("a", "b", missing="none"))
    after = with_user(a_map("a", "b", missing="drop"))

    assert fates(before, after) == {"/m/a": True, "/m/b": True, "/use": False}
