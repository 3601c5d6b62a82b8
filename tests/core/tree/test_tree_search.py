"""Results of a search in a tree."""

import pytest

from conducto_core.run.handlers import holding


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("b/C", "/a/b/c", True),
        ("a*c", "/a/b/c", False),
        ("a/*/c", "/a/b/c", True),
        ("a/*/c", "/a/b/x/c", False),
        ("te*t1", "/test1", True),
        ("/a1*b/c", "/a1/ab/c", False),
        ("/a*b/c", "/a1/aab/c", True),
        ("n*1*3", "/x/n12345", True),
        ("*", "/a", True),
        ("**", "/a", False),
    ],
)
def test_star_matches_within_one_name(text: str, path: str, found: bool) -> None:
    assert holding(text)(path, "run * fast") is found


def test_a_star_in_a_command_is_found_as_well() -> None:
    assert holding("rm *")("/a", "rm *.o")


def test_many_stars_take_no_longer_than_few() -> None:
    """The library's patterns would not come to an end here."""
    assert not holding("a*" * 400 + "b")("/" + "a" * 2000, "true")
