"""The tree of jobs keeps each dependency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_cli.import_github.order import JobGroup, Tree, arrange


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Jobs in any order, each of which needs some of those before it in another order."""
    count = draw(st.integers(1, 12))
    needs = {
        f"j{number}": [f"j{other}" for other in range(number) if draw(st.integers(0, 3)) == 0]
        for number in range(count)
    }
    return {name: needs[name] for name in draw(st.permutations(list(needs)))}


def paths(
    tree: Tree, path: tuple[tuple[bool, int], ...] = ()
) -> dict[str, tuple[tuple[bool, int], ...]]:
    """Return ``{job: (whether the group is serial, place in it) of each level}``."""
    if isinstance(tree, str):
        return {tree: path}
    found = {}
    for place, child in enumerate(tree.children):
        found |= paths(child, (*path, (tree.serial, place)))
    return found


@given(graphs())
def test_each_job_runs_after_those_that_it_needs(needs: dict[str, list[str]]) -> None:
    places = paths(arrange(needs))

    assert sorted(places) == sorted(needs)
    for job, before in needs.items():
        for each in before:
            first = next((a, b) for a, b in zip(places[each], places[job], strict=False) if a != b)
            (serial, earlier), (_, later) = first
            assert serial
            assert earlier < later


@given(graphs())
def test_groups_have_several_children_of_another_kind(needs: dict[str, list[str]]) -> None:
    waiting = [arrange(needs)]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, JobGroup):
            assert len(tree.children) > 1
            inner = [child for child in tree.children if isinstance(child, JobGroup)]
            assert all(child.serial != tree.serial for child in inner)
            waiting += inner


def test_independent_chains_are_side_by_side() -> None:
    tree = arrange({"a": [], "b": ["a"], "c": [], "d": ["c"]})

    assert tree == JobGroup(False, (JobGroup(True, ("a", "b")), JobGroup(True, ("c", "d"))))


def test_diamond_is_three_stages() -> None:
    tree = arrange({"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []})

    assert tree == JobGroup(True, ("a", JobGroup(False, ("b", "c")), "d"))


def test_circle_is_named() -> None:
    with pytest.raises(ValueError, match=r"a needs b needs a|b needs a needs b"):
        arrange({"a": ["b"], "b": ["a"]})


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (JobGroup(True, ("build", "deploy")), "build to deploy"),
        (JobGroup(False, ("test-unit", "test-docs")), "test"),
        (JobGroup(False, ("lint", "test")), "lint and test"),
        (JobGroup(False, ("a", "b", "c", "d")), "a and 3 more"),
    ],
)
def test_group_has_a_name_of_its_jobs(group: JobGroup, name: str) -> None:
    assert group.name == name
