"""Maps with a cache that the driver expands, on both targets: only changed items run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.run.rules import snapshots
from conducto_core.cache.model import ForecastFate
from support.cached_maps import Cloud, Local, map_of, mapped_from, region

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cached_maps import Target

REGIONS = [region("DE", 3), region("FR", 2), region("PE", 1)]
CHANGED = [[*REGIONS, region("TD", 4)], REGIONS[1:], REGIONS[::-1], []]
ITEMS = [f"/m/Execute/{code}" for code in ("DE", "FR", "PE")]


@pytest.fixture(params=["local", "cloud"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    if request.param == "cloud":
        yield Cloud()
        return
    local = Local(tmp_path / "home")
    yield local
    local.close()


def items(target: Target, pipeline: str) -> list[str]:
    return [path for path in target.nodes(pipeline) if path.startswith("/m/Execute/")]


def test_second_launch_runs_nothing(target: Target) -> None:
    first = target.launch(map_of(REGIONS))
    assert target.ran() == ["DE", "FR", "PE", "plan", "use"]
    assert target.commands.inputs == [3, 2, 1]
    started = target.started()

    second = target.launch(map_of(REGIONS))
    assert (target.ran(), target.started()) == ([], started)
    assert target.hits(second) == ["/plan", *ITEMS, "/use"]
    source = target.attempt(second, "/m/Execute/FR").from_cache
    assert source is not None
    assert (source.pipeline, source.path) == (first, "/m/Execute/FR")
    generate = target.attempt(second, "/m/Generate")
    assert (generate.state, generate.started, generate.cache) == ("done", None, None)
    assert set(target.states(second).values()) == {"done"}


@pytest.mark.parametrize(
    ("changed", "runs", "inputs"),
    [
        ([*REGIONS, region("TD", 4)], ["TD", "plan", "use"], [3, 2, 1, 4]),
        ([region("TD", 4), *REGIONS], ["TD", "plan", "use"], [4, 3, 2, 1]),
        ([REGIONS[0], region("FR", 9), REGIONS[2]], ["FR", "plan", "use"], [3, 9, 1]),
        (REGIONS[1:], ["plan", "use"], [2, 1]),
        (REGIONS[::-1], ["plan", "use"], [1, 2, 3]),
        ([], ["plan", "use"], []),
    ],
    ids=["added", "added first", "changed", "removed", "reordered", "empty"],
)
def test_changed_list_runs_its_new_items_and_the_reducer(
    target: Target, changed: list[Any], runs: list[str], inputs: list[int]
) -> None:
    target.launch(map_of(REGIONS))
    target.ran()
    second = target.launch(map_of(changed))

    assert target.ran() == runs
    assert target.commands.inputs == inputs
    assert items(target, second) == [f"/m/Execute/{each['code']}" for each in changed]
    third = target.launch(map_of(REGIONS))  # with the list changed back, all are hits
    assert target.ran() == []
    assert target.hits(third) == ["/plan", *ITEMS, "/use"]


def test_reason_of_an_item_names_the_field_that_differs(target: Target) -> None:
    target.launch(map_of(REGIONS))
    second = target.launch(map_of([region("DE", 4), *REGIONS[1:]]))

    reason = target.attempt(second, "/m/Execute/DE").cache
    assert reason is not None
    assert reason.endswith(" /m/Execute/DE attempt 1: command")
    assert str(target.attempt(second, "/use").cache).endswith("results (/m)")
    assert target.why(second, "/m/Execute/DE").cache == reason
    assert target.why(second, "/m/Execute/FR").reason.startswith("did not run: it is from the")
    expanded = target.why(second, "/m/Generate")
    assert expanded.reason == "ran no command: the map was expanded in its place"
    assert (expanded.cache, expanded.not_stored) == (None, None)


def test_salt_of_the_items_changes_them_only(target: Target) -> None:
    target.launch(map_of(REGIONS))
    target.ran()
    salted = {"cache": {"salt": "2"}}
    second = target.launch(map_of(REGIONS, params=salted))
    assert target.ran() == ["DE", "FR", "PE"]
    assert str(target.attempt(second, ITEMS[0]).cache).endswith("attempt 1: salt")
    assert target.hits(second) == ["/plan", "/use"]
    target.launch(map_of(REGIONS, params=salted))
    target.launch(map_of(REGIONS))
    assert target.ran() == []


def test_failed_item_is_not_stored(target: Target) -> None:
    target.commands.failing = {"FR"}
    first = target.launch(map_of(REGIONS))
    assert target.ran() == ["DE", "FR", "PE", "plan"]
    assert target.attempt(first, "/m/Execute/FR").not_stored == "it failed"
    assert target.states(first)["/m"] == "error"

    target.commands.failing = set()
    second = target.launch(map_of(REGIONS))
    assert target.ran() == ["FR", "use"]
    assert target.commands.inputs == [3, 2, 1]
    assert set(target.states(second).values()) == {"done"}


@pytest.mark.parametrize(("missing", "inputs"), [("none", [3, None, 1]), ("drop", [3, 1])])
def test_tolerated_item_runs_again_and_hits_count_for_the_share(
    target: Target, missing: str, inputs: list[Any]
) -> None:
    tree = map_of(REGIONS, map={"min_done": 0.5, "missing": missing})
    target.commands.failing = {"FR"}
    first = target.launch(tree)
    assert target.ran() == ["DE", "FR", "PE", "plan", "use"]
    assert target.commands.inputs == inputs
    assert target.nodes(first)["/m"].warning

    second = target.launch(tree)  # it fails again, so the reducer gets the same
    assert target.ran() == ["FR"]
    assert target.hits(second) == ["/plan", ITEMS[0], ITEMS[2], "/use"]
    assert target.nodes(second)["/m"].warning
    assert target.states(second)["/"] == "done"

    target.commands.failing = set()
    third = target.launch(tree)
    assert target.ran() == ["FR", "use"]
    assert target.commands.inputs == [3, 2, 1]
    assert not target.nodes(third)["/m"].warning


def test_too_few_items_with_hits_fail_the_map(target: Target) -> None:
    target.launch(map_of(REGIONS[:1]))
    target.ran()
    target.commands.failing = {"FR", "PE"}
    second = target.launch(map_of(REGIONS, map={"min_done": 0.5, "missing": "none"}))
    assert target.ran() == ["FR", "PE", "plan"]
    assert target.states(second)["/m"] == "error"
    assert target.states(second)["/use"] == "pending"


# ---- the plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tree",
    [
        map_of(REGIONS),
        map_of([region("TD", 4)]),
        map_of(REGIONS, command="other"),
        map_of(REGIONS, params={"cache": {"salt": "2"}}),
        map_of(REGIONS, params={"cache": False}),
        map_of(REGIONS, name="{index}"),
        map_of([]),
    ],
    ids=["equal", "list", "command", "salt", "uncached", "names", "empty"],
)
def test_plan_equals_the_decisions_of_a_launch(target: Target, tree: dict[str, Any]) -> None:
    target.launch(map_of(REGIONS))
    plan = target.plan(tree)
    pipeline = target.launch(tree)

    for each in plan.nodes:
        if each.fate is ForecastFate.CACHED:
            source = target.attempt(pipeline, each.path).from_cache
            assert source is not None
            assert each.source is not None
            assert source.text == each.source.text
            assert source.seconds == each.seconds
        elif each.fate is ForecastFate.RUNS:
            attempt = target.attempt(pipeline, each.path)
            assert (attempt.from_cache, attempt.cache) == (None, each.reason)
    known = tuple(each.path for each in plan.nodes)
    assert all(path.startswith(known) for path in target.hits(pipeline))


def test_plan_names_items_once_the_list_is_known(target: Target) -> None:
    tree = map_of(REGIONS)
    before = [(each.path, each.fate, each.reason) for each in target.plan(tree).nodes]
    assert before[1:] == [("/m", "depends", "/plan"), ("/use", "depends", "/m")]
    target.launch(tree)
    after = [(each.path, each.fate.value) for each in target.plan(tree).nodes]
    assert after == [(path, "cached") for path in ("/plan", *ITEMS, "/use")]


# ---- runs again ---------------------------------------------------------------------------------


def test_rerun_of_an_item_is_fresh_and_its_equal_result_keeps_the_reducer(target: Target) -> None:
    target.launch(map_of(REGIONS))
    second = target.launch(map_of(REGIONS))
    target.ran()
    target.control(second, "rerun", ITEMS[1])
    assert target.ran() == ["FR"]
    assert target.attempt(second, ITEMS[1]).cache == "a user ran it again"
    third = target.launch(map_of(REGIONS))
    assert target.ran() == []
    source = target.attempt(third, ITEMS[1]).from_cache
    assert source is not None
    assert (source.pipeline, source.attempt) == (second, 2)


@pytest.mark.parametrize(
    "changed",
    [[*REGIONS, region("TD", 4)], REGIONS[1:], REGIONS[::-1], [region("DE", 7), *REGIONS[1:]]],
    ids=["added", "removed", "reordered", "changed"],
)
def test_rerun_of_the_list_and_the_map_runs_new_items_only(
    target: Target, changed: list[Any]
) -> None:
    target.commands.files["x"] = REGIONS
    tree = mapped_from("read x")
    pipeline = target.launch(tree)
    target.ran()
    target.commands.files["x"] = changed
    target.control(pipeline, "rerun", "/plan")
    assert target.ran() == ["plan"]
    assert items(target, pipeline) == ITEMS  # until the map runs again

    target.control(pipeline, "rerun", "/m/Generate", "/use")
    new = [each["code"] for each in changed if each not in REGIONS]
    assert target.ran() == sorted([*new, "use"])
    assert target.commands.inputs == [each["size"] for each in changed]
    assert items(target, pipeline) == [f"/m/Execute/{each['code']}" for each in changed]
    assert set(target.states(pipeline).values()) == {"done"}


# ---- stale commands -----------------------------------------------------------------------------


def test_reducer_is_stale_if_an_item_has_another_result(target: Target) -> None:
    pipeline = target.launch(map_of(REGIONS))
    assert target.stale(pipeline) == {}
    target.control(pipeline, "rerun", ITEMS[1])
    assert target.stale(pipeline) == {}  # the same result

    target.commands.sizes["FR"] = 9
    target.control(pipeline, "rerun", ITEMS[1])
    assert target.stale(pipeline) == {"/use": ("/m",)}
    target.ran()
    assert target.control(pipeline, "rerun", stale=True) == ("/use",)
    assert target.ran() == ["use"]
    assert target.commands.inputs == [3, 9, 1]
    assert target.stale(pipeline) == {}


def test_reducer_is_stale_if_an_item_has_no_result_any_more(target: Target) -> None:
    pipeline = target.launch(map_of(REGIONS, map={"min_done": 0.5, "missing": "none"}))
    target.commands.failing = {"FR"}
    target.control(pipeline, "rerun", ITEMS[1])
    assert target.stale(pipeline) == {"/use": ("/m",)}


@pytest.mark.parametrize("changed", CHANGED, ids=["added", "removed", "reordered", "empty"])
def test_rerun_of_stale_commands_follows_a_changed_list(target: Target, changed: list[Any]) -> None:
    target.commands.files["x"] = REGIONS
    pipeline = target.launch(mapped_from("read x"))
    target.control(pipeline, "rerun", "/plan")
    assert target.stale(pipeline) == {}  # the same list

    target.commands.files["x"] = changed
    target.control(pipeline, "rerun", "/plan")
    assert target.stale(pipeline) == {"/m/Generate": ("/plan",)}
    target.ran()
    assert target.control(pipeline, "rerun", stale=True) == ("/m/Generate",)
    assert target.ran() == [each["code"] for each in changed if each not in REGIONS]
    assert target.stale(pipeline) == {"/use": ("/m",)}
    assert target.control(pipeline, "rerun", stale=True) == ("/use",)
    assert target.commands.inputs == [each["size"] for each in changed]
    assert target.control(pipeline, "rerun", stale=True) == ()
    assert set(target.states(pipeline).values()) == {"done"}


def test_commands_without_a_cache_are_never_stale(target: Target) -> None:
    target.commands.files["x"] = REGIONS
    tree = {**mapped_from("read x"), "cache": False}
    pipeline = target.launch(tree)
    target.commands.files["x"] = []
    target.control(pipeline, "rerun", "/plan")
    assert target.stale(pipeline) == {}


@pytest.mark.parametrize("top", ["/m", "/m/Execute", "/"])
def test_rerun_of_a_map_is_fresh(target: Target, top: str) -> None:
    target.launch(map_of(REGIONS))
    pipeline = target.launch(map_of(REGIONS))
    target.ran()
    target.control(pipeline, "rerun", top)
    assert target.ran() == ["DE", "FR", "PE", *(["plan", "use"] if top == "/" else [])]
    assert target.attempt(pipeline, ITEMS[0]).cache == "a user ran it again"


def test_fresh_items_are_in_snapshots() -> None:
    cloud = Cloud()
    pipeline = cloud.launch(map_of(REGIONS))
    cloud.control(pipeline, "pause")
    cloud.control(pipeline, "reset", "/m")
    world = cloud.world
    with world.engine.reading("acme", pipeline) as live:
        assert live.tree.again == set(ITEMS)
        taken = snapshots.snapshot_of(live)
    tree_of = partial(world.store.tree, pipeline)
    again = snapshots.restore("acme", world.store.definition(pipeline), taken, tree_of)
    assert again.tree.again == set(ITEMS)
