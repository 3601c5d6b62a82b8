"""The rules of .dockerignore."""

import pytest

from conducto_core.images.contexts import Ignore


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "sub/a.txt", False),
        ("/a.txt", "a.txt", True),
        ("sub", "sub/deep/a", True),
        ("sub/", "sub/deep/a", True),
        ("*.py", "a.py", True),
        ("*.py", "sub/a.py", False),
        ("*/a.py", "sub/a.py", True),
        ("**/a.py", "a.py", True),
        ("**/a.py", "x/y/a.py", True),
        ("x/**", "x/y/z", True),
        ("x/**", "x", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "b.txt", True),
        ("[^ab].txt", "b.txt", False),
        ("a.c", "abc", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "other", True),
        ("*\n!keep\nkeep/not", "keep/not", True),
        ("*\n!.git", ".git/HEAD", False),
        ("# a", "a", False),
        ("  a  ", "a", True),
        ("./a/../b", "b", True),
        ("", "a", False),
        (".", "a", False),
        ("a b", "a b", True),
        ("a(b", "a(b", True),
    ],
)
def test_rules_decide(rules: str, path: str, expected: bool) -> None:
    assert Ignore.parse(rules).excludes(path) is expected


def test_added_lines_come_last() -> None:
    ignore = Ignore.parse("**/.git\n*").with_lines("!.git")

    assert not ignore.excludes(".git/config")


@pytest.mark.parametrize(
    ("rules", "folder", "expected"),
    [
        ("node_modules", "node_modules", True),
        ("*\n!src/keep", "src", False),
        ("*\n!src/keep", "node_modules", True),
        ("*\n!**/*.py", "anything", False),
        ("*\n!src", "src/deep", False),
    ],
)
def test_only_folders_without_exceptions_are_pruned(
    rules: str, folder: str, expected: bool
) -> None:
    assert Ignore.parse(rules).prunes(folder) is expected


@pytest.mark.parametrize("pattern", ["[z-a]", "a[bc", "[]", "!x[", "a\\"])
def test_unreadable_pattern_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="cannot read the pattern") as caught:
        Ignore.parse(f"fine\n{pattern}\n")
    assert repr(pattern) in str(caught.value)
