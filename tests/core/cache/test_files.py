"""Patterns of cached files, commands that use them at once, and outcomes that are not stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.cache.files import FileUse, files_not_stored, is_inner, names_file, overlap
from conducto_core.tree.model import Caching
from conducto_core.tree.rules.resolve import resolve

PART = st.sampled_from(["a", "b", "ab", "a.csv", "b.csv", "*", "*.csv", "a*", "**", "?"])
PATTERN = st.tuples(st.lists(PART, min_size=1, max_size=3), st.sampled_from(["", "/"])).map(
    lambda each: "/".join(each[0]) + each[1]
)
NAME = st.lists(st.sampled_from(["a", "b", "ab", "a.csv", "b.csv"]), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "named", "others"),
    [
        ("raw/", ["raw/", "raw/a", "raw/sub/a"], ["raw", "raws/a", "x/raw/a"]),
        ("*.csv", ["a.csv"], ["raw/a.csv", "a.txt"]),
        ("**/*.csv", ["a.csv", "raw/x/a.csv"], ["a.txt"]),
        ("out/a", ["out/a"], ["out/", "out/ab", "out/a/b"]),
        ("*/done/", ["x/done/a"], ["done/a", "x/y/done/a"]),
    ],
)
def test_patterns_name_files(pattern: str, named: list[str], others: list[str]) -> None:
    assert [each for each in named if not names_file([pattern], each)] == []
    assert [each for each in others if names_file([pattern], each)] == []


@given(PATTERN, PATTERN, NAME)
def test_patterns_that_name_one_file_overlap(one: str, other: str, parts: list[str]) -> None:
    name = "/".join(parts)
    if names_file([one], name) and names_file([other], name):
        assert overlap(one, other)
        assert overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/", "b/"), ("*.csv", "*.json"), ("a/x", "a/y"), ("a", "a/b"), ("x*", "y*")],
)
def test_other_patterns_do_not(one: str, other: str) -> None:
    assert not overlap(one, other)


def tree(kind: type[co.Serial | co.Parallel], *caches: co.Cache) -> co.Serial:
    root = co.Serial(image="x")
    root["both"] = both = kind()
    for name, cache in zip("ab", caches, strict=True):
        both[name] = co.Serial()
        both[name]["do"] = co.Exec("true", cache=cache)
    return root


@pytest.mark.parametrize(
    ("cache", "does"),
    [
        (co.Cache(writes=["out/x.csv"]), "writes out/x.csv"),
        (co.Cache(reads=["**/*.csv"]), r"reads \*\*/\*.csv"),
    ],
)
def test_two_commands_that_use_a_file_at_once_are_an_error(cache: co.Cache, does: str) -> None:
    writer = co.Cache(writes=["out/"])
    with pytest.raises(DefinitionError, match=f"/both/[ab]/do.*may run at the same time, {does}|"):
        resolve(to_launch_form(tree(co.Parallel, writer, cache)))
    assert resolve(to_launch_form(tree(co.Serial, writer, cache)))


def test_those_that_read_the_same_files_and_write_others_need_none() -> None:
    caches = [co.Cache(reads=["raw/"], writes=[f"out/{each}/"]) for each in "ab"]
    assert resolve(to_launch_form(tree(co.Parallel, *caches)))


@pytest.mark.parametrize(
    ("wrote", "changed", "why"),
    [
        ({"out/": "d", "out/a": "-1"}, False, None),
        ({"out/": "d", "x": "-1"}, False, "it wrote x, which writes= does not name"),
        ({}, False, "it did not write out/"),
        ({"out/": "d"}, True, "its files changed while it ran"),
    ],
)
def test_outcomes_that_are_not_stored(
    wrote: dict[str, str], changed: bool, why: str | None
) -> None:
    cache = Caching(writes=("out/",))
    assert files_not_stored(cache, wrote, None, changed=changed) == why


def test_links_within_the_data() -> None:
    assert is_inner("a/link", "../b/x")
    assert not is_inner("a/link", "../../x")
    assert not is_inner("link", "/etc/passwd")


def test_stored_files_are_read_again() -> None:
    use = FileUse({"a": "-12"}, {"b/": "d", "b/x": "x34", "b/l": "lx"})
    assert FileUse.from_bytes(use.to_bytes()) == use
    assert use.contents() == {"34"}
    assert FileUse.from_bytes(b"") == FileUse()
    with pytest.raises(ValueError, match="damaged"):
        FileUse.from_bytes(b"{}")
