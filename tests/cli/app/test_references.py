import pytest

from conducto.errors import UsageError
from conducto_cli.app.references import expand, node_path

PATHS = ["/", "/tests", "/tests/auth", "/tests/auth/login", "/tests/unit", "/deploy", "/odd[1]*"]


@pytest.mark.parametrize("text", ["/tests/unit", "tests/unit", "tests/unit/", "/tests/unit/"])
def test_slashes_at_the_ends_do_not_matter(text: str) -> None:
    assert node_path(text) == "/tests/unit"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/tests/*", ["/tests/auth", "/tests/unit"]),
        ("/**/login", ["/tests/auth/login"]),
        ("/tests/**", ["/tests", "/tests/auth", "/tests/auth/login", "/tests/unit"]),
        ("/tests/????", ["/tests/auth", "/tests/unit"]),
        ("/tests/[au]*", ["/tests/auth", "/tests/unit"]),
        ("/tests/[!a]*", ["/tests/unit"]),
        ("/odd[1]*", ["/odd[1]*"]),
        ("/", ["/"]),
    ],
)
def test_wildcards_stand_for_names(pattern: str, found: list[str]) -> None:
    assert expand([pattern], PATHS) == found


def test_overlapping_patterns_match_each_path_once_in_tree_order() -> None:
    assert expand(["/deploy", "/tests/*", "/tests/auth"], PATHS) == [
        "/tests/auth",
        "/tests/unit",
        "/deploy",
    ]


def test_a_wrong_path_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"/zz: no such node; .conducto tree ID. lists them"):
        expand(["/zz"], PATHS)
    with pytest.raises(UsageError, match=r"/tests/auht: no such node; did you mean '/tests/auth'"):
        expand(["/tests/auht"], PATHS)


def test_a_pattern_without_a_match_is_refused() -> None:
    with pytest.raises(UsageError, match=r"/nothing/\*: matches no node"):
        expand(["/nothing/*"], PATHS)
