"""``paths``, ``branches`` and ``tags``: the names that patterns choose, and invalid ones."""

from __future__ import annotations

import time

import pytest

from conducto_core.triggers.model import GitEvent, GitEventKind
from conducto_core.triggers.rules.config import (
    Section,
    TriggerConfigError,
    parse_config,
    sections_for,
)
from conducto_core.triggers.rules.patterns import MAX_LENGTH, NamePatternError, parse_patterns

PUSH = GitEvent(
    kind=GitEventKind.PUSH,
    url="https://github.com/acme/app.git",
    repository="acme/app",
    branch="release/2",
    sha="a" * 40,
)
PR = PUSH.model_copy(
    update={"kind": GitEventKind.PULL_REQUEST, "number": "7", "base_branch": "main"}
)


@pytest.mark.parametrize(
    ("patterns", "chosen", "others"),
    [
        ("src/**", ["src/a.py", "src/b/c.py"], ["src", "docs/src/a.py", "srcs/a.py"]),
        ("src/", ["src/a.py", "src/b/c.py"], ["docs/a.md"]),
        ("**/*.py", ["a.py", "src/b/c.py"], ["a.pyc", "a.py/b"]),
        ("*.md", ["a.md"], ["docs/a.md"]),
        ("src/*/t*.py", ["src/a/t1.py"], ["src/t1.py", "src/a/b/t1.py"]),
        ("a/**/b/**/c", ["a/b/c", "a/x/b/y/z/c", "a/b/b/c"], ["a/c", "a/b", "a/c/b"]),
        ("**/a/b/**", ["a/b/", "x/a/a/b/c"], ["a/x/b/c"]),
        ("** !docs/** !*.md", ["src/a.py", "src/a.md"], ["docs/a.py", "a.md"]),
        ("!docs/**", ["a", "src/docs/a"], ["docs/a", "docs/b/c"]),
        ('["with space/**"]', ["with space/a"], ["with", "space/a"]),
    ],
)
def test_patterns_of_paths(patterns: str, chosen: list[str], others: list[str]) -> None:
    found = parse_patterns(patterns, are_paths=True)

    assert [name for name in chosen if not found.accept(name)] == []
    assert [name for name in others if found.accept(name)] == []


def test_star_of_a_branch_includes_slashes() -> None:
    found = parse_patterns("main\nrelease/* !*-wip")

    assert all(map(found.accept, ("main", "release/1/2")))
    assert not any(map(found.accept, ("mains", "release/1-wip", "feature")))


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("", "there is no pattern"),
        ("a?", "only special characters"),
        ("src/**.py", r"write '\*\*/\*\.py'"),
        ("/src", "relative to the root"),
        ("../src", "relative to the root"),
        ("!", "must have 1 to"),
        ("x" * (MAX_LENGTH + 1), "must have 1 to"),
        ("a " * 51, "there are 51 patterns"),
        ('["a"', "not valid JSON"),
        ("[1]", "not a list of texts"),
    ],
)
def test_invalid_patterns_are_refused(patterns: str, message: str) -> None:
    with pytest.raises(NamePatternError, match=message):
        parse_patterns(patterns, are_paths=True)


def test_hostile_names_take_linear_time() -> None:
    patterns = parse_patterns(f"{'*a' * 90}*b {'**/a/' * 30}b", are_paths=True)
    names = ["a" * 4000, "a/" * 2000 + "c"]
    before = time.process_time()

    assert not patterns.accept_one(names)
    assert time.process_time() - before < 1


def section(more: str, kind: str = "push") -> Section:
    return parse_config(f"[{kind}]\ncommand = x\n{more}\n")[kind]


def test_section_says_why_it_launches_nothing() -> None:
    both = section("paths = src/**\nbranches = main release/*")

    assert both.why_not(PUSH, lambda: ["docs/a", "src/a"]) is None
    assert both.why_not(PUSH, lambda: None) is None  # unknown files leave nothing untested
    assert both.why_not(PUSH, lambda: ["a", "b"]) == (
        "paths of [push] include none of the 2 changed files"
    )
    other = PUSH.model_copy(update={"branch": "feature"})
    assert other.branch in (both.why_not(other, lambda: pytest.fail("asked")) or "")


def test_branches_of_a_pull_request_are_those_it_is_merged_into() -> None:
    assert section("branches = main", "pr").why_not(PR, lambda: None) is None
    assert section("branches = release/*", "pr").why_not(PR, lambda: None) is not None


def test_tags_choose_tags() -> None:
    tag = PUSH.model_copy(update={"kind": GitEventKind.CREATE_TAG, "branch": "v1.2"})
    tagged = section("tags = v* !*rc*", "create-tag")

    assert tagged.why_not(tag, lambda: None) is None
    assert tagged.why_not(tag.model_copy(update={"branch": "v1rc1"}), lambda: None) is not None


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("push", "tags", "line 3: tags is for create-tag and delete-tag, not for"),
        ("create-tag", "branches", "line 3: branches is for events of branches"),
        ("create-branch", "paths", "line 3: paths is for push, pr and merge-group"),
    ],
)
def test_key_of_another_event_is_refused(kind: str, key: str, message: str) -> None:
    with pytest.raises(TriggerConfigError, match=message):
        section(f"{key} = a", kind)


@pytest.mark.parametrize(
    ("text", "name"),
    [("run", "pr"), ("run bench", "comment bench"), ("run none", None), ("run pr", None)],
)
def test_comment_names_a_section(text: str, name: str | None) -> None:
    sections = parse_config("[pr]\ncommand = x\n[comment bench]\ncommand = y\n")
    event = PR.model_copy(update={"kind": GitEventKind.COMMENT, "text": text})

    assert [each.name for each in sections_for(sections, event)] == ([name] if name else [])
