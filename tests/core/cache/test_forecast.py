"""The decisions about a tree before its launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.cache.files import FileUse
from conducto_core.cache.forecast import Look, forecast
from conducto_core.cache.model import CacheEntry
from conducto_core.cache.rules import CacheDecision
from conducto_core.run.launching import new_record
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.tree.rules.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from conducto_core.tree.model import NodeSpec

MODEL = FileUse({}, {"model/": "d", "model/a": "-1"}).to_bytes()


def plan(
    root: co.Node,
    *runs: str,
    seen: dict[str, Mapping[str, str]] | None = None,
    lists: Collection[str] = (),
    **options: Any,
) -> dict[str, tuple[str, str]]:
    """Return the decisions, if the outcomes of all commands but some are in the cache.

    ``seen`` gets the marks of the files that each command would see. The results are 1, and those
    of ``lists`` ``[1,1]``.
    """
    form = to_launch_form(root)
    pipeline = resolve(form)
    record = new_record("abc-def", LaunchRequest(tree=form, title="t", **options), pipeline)

    def decide(spec: NodeSpec, results: Mapping[str, bytes], data: Mapping[str, str]) -> Look:
        assert all(each in {b"1", b"[1,1]"} for each in results.values())
        if seen is not None:
            seen[spec.path] = data
        if spec.path in runs:
            return Look(CacheDecision(reason="no entry", fields={"command": spec.command}))
        source = {"pipeline": "xyz-abc", "path": spec.path, "attempt": 1}
        given = {"key": "k", "fields": {}, "source": source, "made": 1.0, "seconds": 2.0}
        entry = CacheEntry.model_validate(given)
        result = b"[1,1]" if spec.path in lists else b"1"
        return Look(CacheDecision(entry), {"result": result, "files": MODEL})

    found = forecast(pipeline, record, decide)
    return {each.path: (each.fate.value, each.reason) for each in found}


def load() -> int:
    return 1


def use(_value: int) -> int:
    return 1


CACHED = ("cached", "")


def test_a_result_of_a_command_that_runs_is_not_known() -> None:
    root = co.Serial(image="x", cache=True)
    root["load"] = source = co.Exec(load)
    root["use"] = co.Exec(use, source.result)
    root["other"] = co.Exec("echo")

    assert plan(root) == {"/load": CACHED, "/use": CACHED, "/other": CACHED}
    assert plan(root, "/load") == {
        "/load": ("runs", "no entry"),
        "/use": ("depends", "/load"),
        "/other": CACHED,
    }


def test_results_of_a_map_are_known_if_all_items_are() -> None:
    root = co.Serial(image="x", cache=True)
    root["each"] = mapped = co.map(use, over=[1, 2], name="{item}")
    root["all"] = co.Exec(use, mapped.results)

    assert set(plan(root).values()) == {CACHED}
    assert plan(root, "/each/1")["/all"] == ("depends", "/each")


# ---- maps over a result -------------------------------------------------------------------------


def listed() -> list[int]:
    return [1, 1]


def over(**options: Any) -> co.Serial:
    """Return a map over the result ``[1, 1]``, and a command that uses its results."""
    root = co.Serial(image="x", cache=True)
    root["list"] = source = co.Exec(listed)
    root["each"] = items = co.map(use, over=source.result, **{"name": "{index}", **options})
    root["all"] = co.Exec(use, items.results)
    return root


def test_map_whose_list_is_from_the_cache_is_expanded() -> None:
    items = {"/each/Execute/0": CACHED, "/each/Execute/1": ("depends", "/each/Execute/0")}
    found = plan(over(), "/each/Execute/0", "/each/Execute/1", lists=["/list"])
    wanted = {"/list": CACHED, **items, "/all": ("depends", "/each")}
    assert found == {**wanted, "/each/Execute/0": ("runs", "no entry")}
    assert set(plan(over(), lists=["/list"]).values()) == {CACHED}
    assert len(plan(over(), lists=["/list"])) == 4


def test_map_whose_list_is_not_known_depends_on_it() -> None:
    wanted = {"/list": ("runs", "no entry"), "/each": ("depends", "/list")}
    assert plan(over(), "/list") == {**wanted, "/all": ("depends", "/each")}


def test_map_without_a_cache_is_not_in_the_plan() -> None:
    root = over(params=co.Params(cache=False))
    assert plan(root, "/list") == {"/list": ("runs", "no entry"), "/all": ("depends", "/each")}
    assert plan(root, lists=["/list"]) == {"/list": CACHED, "/all": ("depends", "/each")}


def test_map_that_cannot_be_expanded_fails_in_the_plan() -> None:
    found = plan(over(name="{item}"), lists=["/list"])
    assert found["/each"][0] == "runs"
    assert found["/each"][1].startswith("fails: items 0 and 1 both have the name '1'")
    assert found["/all"] == ("depends", "/each")


def test_map_over_the_results_of_a_map_is_expanded() -> None:
    root = over()
    root["more"] = more = co.map(use, over=root["each"].results, name="n{index}")
    root["end"] = co.Exec(use, more.results)
    found = plan(root, lists=["/list"])
    assert set(found.values()) == {CACHED}
    assert "/more/Execute/n1" in found
    assert plan(root, "/each/Execute/1", lists=["/list"])["/more"] == ("depends", "/each")


def test_map_that_a_condition_skips_is_skipped() -> None:
    root = co.Serial(image="x", cache=True)
    root["list"] = source = co.Exec(listed)
    root["each"] = co.map(use, over=source.result, name="{index}")
    root["each"].run_if = co.result("/list") == 2
    found = plan(root, lists=["/list"])
    assert found["/each"] == ("skipped", "run_if is false: result(/list) is a list or object")
    assert plan(root, "/list")["/each"] == ("depends", "/list")


def test_items_that_are_not_known_may_write_any_file() -> None:
    root = over()
    root["read"] = co.Exec("read", cache=co.Cache(reads=["raw/"]))
    assert plan(root, lists=["/list"])["/read"] == CACHED
    assert plan(root, "/list")["/read"] == ("depends", "/each")


def test_results_of_a_tree_that_a_command_prints_are_not_known() -> None:
    root = over()
    root["each"]["Generate"]._expansion = None
    assert plan(root, lists=["/list"])["/all"] == ("depends", "/each")


@pytest.mark.parametrize("before", ["uncached", "cached"])
def test_files_of_a_command_that_runs_are_not_known(before: str) -> None:
    root = co.Serial(image="x")
    cache = co.Cache(writes=["model/"]) if before == "cached" else None
    root["make"] = co.Exec("make", cache=cache)
    root["use"] = co.Exec("use", cache=co.Cache(reads=["model/"]))
    root["none"] = co.Exec("none", cache=co.Cache(reads=["raw/"]))
    found = plan(root, "/make")
    assert found["/use"] == ("depends", "/make")
    assert found["/none"] == (CACHED if before == "cached" else ("depends", "/make"))


def test_files_of_a_hit_are_those_that_a_command_would_see() -> None:
    root = co.Serial(image="x")
    root["make"] = co.Exec("make", cache=co.Cache(writes=["model/"]))
    root["use"] = co.Exec("use", cache=co.Cache(reads=["*/a"]))
    root["other"] = co.Exec("use", cache=co.Cache(reads=["raw/"]))
    seen: dict[str, Mapping[str, str]] = {}
    assert set(plan(root, seen=seen).values()) == {CACHED}
    assert seen == {"/make": {}, "/use": {"model/a": "-1"}, "/other": {}}


def test_commands_beside_another_one_do_not_count() -> None:
    root = co.Parallel(image="x")
    root["plain"] = co.Exec("plain")
    root["use"] = co.Exec("use", cache=co.Cache(reads=["raw/"]))
    assert plan(root) == {"/use": CACHED}


def conditional(**places: dict[str, Any]) -> co.Serial:
    """Return a command with the result 1, a group and a command, with node parameters."""
    root = co.Serial(image="x", cache=True)
    root["check"] = co.Exec(load)
    root["group"] = co.Serial(**places.get("group", {}))
    root["group"]["inner"] = co.Exec("inner", **places.get("inner", {}))
    root["after"] = co.Exec("after", cache=co.Cache(reads=["raw/"]))
    return root


@pytest.mark.parametrize("place", ["group", "inner"])
def test_a_condition_that_does_not_hold_skips_all_below(place: str) -> None:
    root = conditional(**{place: {"run_if": co.result("/check") == 2}})
    why = "run_if is false: result(/check) is 1"
    assert plan(root) == {"/check": CACHED, "/group/inner": ("skipped", why), "/after": CACHED}

    root = conditional(**{place: {"run_if": co.result("/check") == 1}})
    assert set(plan(root).values()) == {CACHED}


@pytest.mark.parametrize("place", ["group", "inner"])
def test_a_condition_on_a_command_that_runs_is_not_known(place: str) -> None:
    root = conditional(**{place: {"run_if": co.result("/check") == 2}})
    assert plan(root, "/check")["/group/inner"] == ("depends", "/check")


def test_a_command_that_a_condition_skips_writes_no_files() -> None:
    uncached = {"cache": False, "run_if": co.result("/check") == 2}
    found = plan(conditional(inner=uncached))
    assert found["/group/inner"][0] == "skipped"
    assert found["/after"] == CACHED
    found = plan(conditional(inner={**uncached, "run_if": co.result("/check") == 1}))
    assert found == {"/check": CACHED, "/after": ("depends", "/group/inner")}


def test_one_condition_that_does_not_hold_is_enough() -> None:
    outer = {"run_if": co.result("/check") == 1}
    root = conditional(group=outer, inner={"run_if": co.result("/check") == 2})
    assert plan(root)["/group/inner"][0] == "skipped"


def test_skipped_commands_and_those_without_a_cache_are_left_out() -> None:
    root = co.Serial(image="x", cache=True)
    root["left"] = co.Exec("a", skip=True)
    root["plain"] = co.Exec("a", cache=False)
    assert plan(root) == {}


def test_a_cache_that_is_off_has_its_reason() -> None:
    root = co.Serial(image="x", cache=True)
    root["a"] = co.Exec("a", requires_docker=True)
    root["b"] = co.Exec("b")
    found = plan(root, engine="process")
    assert found["/a"][1].startswith("not cached: it uses the container engine")
    assert found["/b"][1].startswith("not cached: processes of the machine")


def test_an_equal_command_depends_on_the_earlier_command() -> None:
    root = co.Serial(image="x", cache=True)
    root["a"], root["b"] = co.Exec("same"), co.Exec("same")
    assert plan(root, "/a", "/b") == {"/a": ("runs", "no entry"), "/b": ("depends", "/a")}
    assert plan(root, "/a", "/b", no_cache=True)["/b"] == ("runs", "no entry")
