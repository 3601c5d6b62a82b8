"""Counter-examples from random games, each reduced to the fewest moves that show it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conducto_core.asl.rules.partition import Size
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.tree.rules.resolve import resolve_generated
from support.asl.play import Game, game_of
from support.trees import FAILS, form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from support.asl.interpreter import Interpreter

TINY = Size(3, 10**6, 10**6, 2)
FLAT = Size(9, 10**6, 10**6, 1)


def on_error(name: str, **arguments: Any) -> list[Any]:
    return [["error", [name, arguments]]]


def started(game: Game) -> Game:
    game.send(ev.Armed())
    return game


def run(game: Game, path: str, cause: Cause | None = None) -> None:
    game.start(path)
    game.finish(path, cause)


def generate(game: Game, path: str, tree: dict[str, Any]) -> None:
    """End a Generate that printed ``tree``."""
    game.start(path)
    target = str(game.local.tree.nodes[path].spec.lazy_target)
    specs = {n.path: n.spec for n in game.local.tree.nodes.values()}
    here = type(game.local.pipeline)(specs, game.local.pipeline.images)
    nodes = resolve_generated(form(tree), target, here).nodes
    game.local.send(ev.TreeGenerated(path, nodes))
    game.cloud.generate(path, nodes)
    game.local.finish(path)
    game.cloud.finish(path, None)
    game.compare()


def test_a_late_sibling_that_runs_while_an_early_one_is_reset_is_waited_for(
    interpreter: Interpreter,
) -> None:
    game = started(game_of(serial(serial("a", "b"), "c", stop_on_error=False), interpreter))
    run(game, "/n0/a")
    game.start("/n0/b")
    game.send(ev.NodesReset(("/n0/a",)))

    run(game, "/n0/a", FAILS)  # /c must not begin: /n0/b still runs
    game.finish("/n0/b", None)
    run(game, "/c")

    assert game.cloud.outcome() == "FAILED"


def test_retry_of_an_exec_that_runs_out_of_turn_waits_for_its_turn(
    interpreter: Interpreter,
) -> None:
    retry = on_error("retry", max_num_retries=1)
    tree = serial("a", leaf("b", callbacks=retry))
    game = started(game_of(tree, interpreter))
    run(game, "/a")
    game.start("/b")
    game.send(ev.NodesReset(("/a",)))

    game.finish("/b", FAILS)
    run(game, "/a")
    run(game, "/b")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_a_group_that_is_tried_again_makes_the_graph_outdated(interpreter: Interpreter) -> None:
    retry = on_error("retry", max_num_retries=1)
    game = started(game_of(serial(parallel("a", "b", callbacks=retry), "c"), interpreter))
    run(game, "/n0/a", FAILS)

    run(game, "/n0/b")
    run(game, "/n0/a")
    run(game, "/n0/b")
    run(game, "/c")

    assert len(game.cloud.executions) == 2


def test_a_group_that_is_tried_again_with_nothing_to_start_leaves_the_graph_waiting(
    interpreter: Interpreter,
) -> None:
    retry = on_error("retry", max_num_retries=1)
    game = started(game_of(serial(lazy("l"), "z", callbacks=retry), interpreter))
    generate(game, "/l/Generate", parallel("a", "b"))
    game.send(ev.NodesSkipped(("/l/Generate",)))

    run(game, "/l/Execute/a", FAILS)
    run(game, "/l/Execute/b")

    assert game.cloud.outcome() == game.cloud.expected_outcome()


def test_a_time_limit_lifted_by_a_retry_makes_the_graph_outdated(interpreter: Interpreter) -> None:
    retry = on_error("retry", max_num_retries=1)
    tree = serial(
        parallel("a", max_time=5, callbacks=retry, suppress_errors=True), "b", callbacks=[]
    )
    game = started(game_of(tree, interpreter))
    game.start("/n0/a")
    game.send(ev.TimeLimitReached("/n0"))

    game.finish("/n0/a", None)
    run(game, "/n0/a")
    run(game, "/b")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_nodes_after_a_suppressed_timed_out_group_are_kept(interpreter: Interpreter) -> None:
    tree = serial(parallel("a", max_time=5, suppress_errors=True), "b")
    game = started(game_of(tree, interpreter))
    game.start("/n0/a")
    game.send(ev.TimeLimitReached("/n0"))

    game.finish("/n0/a", None)
    run(game, "/b")

    assert game.cloud.outcome() == "SUCCEEDED"
    assert len(game.cloud.executions) == 2


def test_a_suppressed_group_out_of_time_does_not_fail_its_parent(interpreter: Interpreter) -> None:
    tree = serial(parallel("a", max_time=5, suppress_errors=True), "b", stop_on_error=False)
    game = started(game_of(tree, interpreter))
    game.start("/n0/a")
    game.send(ev.TimeLimitReached("/n0"))

    game.finish("/n0/a", None)
    run(game, "/b")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_edit_does_not_suppress_earlier_failures(interpreter: Interpreter) -> None:
    game = started(game_of(serial("a", "b"), interpreter))
    run(game, "/a")
    run(game, "/b", FAILS)
    suppress(game, "/b")
    game.send(ev.NodesReset(("/a",)))

    run(game, "/a")

    assert game.cloud.outcome() == "FAILED"


def test_a_suppression_is_that_of_the_generated_tree(interpreter: Interpreter) -> None:
    game = started(game_of(serial(lazy("l"), "z"), interpreter))
    suppress(game, "/l/Execute")

    generate(game, "/l/Generate", parallel("a"))
    run(game, "/l/Execute/a", FAILS)

    assert game.cloud.outcome() == "FAILED"


def suppress(game: Game, path: str) -> None:
    """Edit a node so that its errors are suppressed."""
    spec = game.local.tree.nodes[path].spec
    game.send(ev.NodesModified({path: replace(spec, suppress_errors=True)}))


def test_a_lazy_whose_place_is_skipped_needs_no_tree(interpreter: Interpreter) -> None:
    game = game_of(lazy(), interpreter)
    game.send(ev.NodesSkipped(("/Execute",)))
    started(game)

    run(game, "/Generate")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_an_empty_generated_tree_is_done_at_once(interpreter: Interpreter) -> None:
    game = started(game_of(serial(lazy("l"), "z"), interpreter))

    generate(game, "/l/Generate", parallel())
    run(game, "/z")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_lazy_without_a_tree_blocks_later_nodes(interpreter: Interpreter) -> None:
    tree = serial(lazy("l", suppress_errors=True), "z", stop_on_error=False)
    game = started(game_of(tree, interpreter))

    run(game, "/l/Generate", FAILS)

    assert game.cloud.outcome() == "RUNNING"


def test_a_generate_that_fails_before_its_place_has_its_turn_blocks_it(
    interpreter: Interpreter,
) -> None:
    node = lazy()
    node["stop_on_error"] = False
    game = started(game_of(node, interpreter))

    run(game, "/Generate", FAILS)

    assert game.cloud.outcome() == "RUNNING"


def test_the_two_parts_of_a_lazy_share_a_machine_however_flat(interpreter: Interpreter) -> None:
    game = started(game_of(serial(lazy("l"), "z"), interpreter, FLAT))
    generate(game, "/l/Generate", serial("a", "b"))
    game.start("/l/Execute/a")
    game.send(ev.NodesReset(("/",)))
    game.finish("/l/Execute/a", None)

    generate(game, "/l/Generate", serial("a"))
    run(game, "/l/Execute/a")
    run(game, "/z")

    assert game.cloud.outcome() == "SUCCEEDED"


def test_bundle_of_failures_ends(interpreter: Interpreter) -> None:
    game = started(game_of(parallel(*"abcdefg"), interpreter, TINY))
    for name in "abcdefg":
        run(game, f"/{name}", FAILS)

    game.send(ev.NodesReset(("/a",)))
    run(game, "/a")

    assert game.cloud.outcome() == "FAILED"


def test_a_reset_waits_for_more_of_the_old_tree_than_a_machine_holds(
    interpreter: Interpreter,
) -> None:
    game = started(game_of(serial(lazy("l"), "z"), interpreter, TINY))
    generate(game, "/l/Generate", parallel(*"abcdef"))
    for name in "abcdef":
        game.start(f"/l/Execute/{name}")
    game.send(ev.NodesReset(("/l/Generate",)))

    for name in "abcdef":
        game.finish(f"/l/Execute/{name}", None)

    assert game.local.queued.keys() == {"/l/Generate"}


def test_a_condition_is_decided_again_when_its_source_returns_something_else(
    interpreter: Interpreter,
) -> None:
    deploy = serial("x", "y", name="deploy", run_if=["==", "/check", [], "a"])
    game = started(game_of(serial("check", deploy, "after"), interpreter))

    def check(result: bytes) -> None:
        game.start("/check")
        game.finish("/check", None, result)

    check(b'"b"')
    run(game, "/after")
    assert game.cloud.outcome() == "SUCCEEDED"

    game.send(ev.NodesReset(("/check", "/after")))
    check(b'"a"')
    for path in ("/deploy/x", "/deploy/y", "/after"):
        run(game, path)
    assert game.cloud.outcome() == "SUCCEEDED"


def test_a_partition_that_failed_in_a_backfill_runs_again_alone(interpreter: Interpreter) -> None:
    days = ("2026-11-28", "2026-11-29", "2026-11-30")
    backfill = parallel(*(serial("load", "publish", name=day) for day in days), max_concurrent=1)
    game = started(game_of(backfill, interpreter))
    for day in days:
        run(game, f"/{day}/load", FAILS if day == days[1] else None)
        if day != days[1]:
            run(game, f"/{day}/publish")
    assert game.cloud.outcome() == "FAILED"

    game.send(ev.NodesReset((f"/{days[1]}/load",)))
    run(game, f"/{days[1]}/load")
    run(game, f"/{days[1]}/publish")

    assert game.cloud.outcome() == "SUCCEEDED"
    assert not game.local.queued
