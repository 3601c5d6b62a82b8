"""Facts read from users' Dockerfiles."""

import pytest

from conducto_core.images.dockerfile import base_references, without_syntax


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("FROM a:1\nRUN x", {}, ("a:1",)),
        ("from a", {}, ("a",)),
        ("FROM --platform=linux/amd64 a:1 AS b\nFROM b", {}, ("a:1",)),
        ("FROM a AS Build\nFROM c\nCOPY --from=build /x /x", {}, ("a", "c")),
        ("FROM a\nCOPY --from=tools:2 /x /x", {}, ("a", "tools:2")),
        ("FROM a\nFROM c\nCOPY --from=0 /x /x", {}, ("a", "c")),
        ("FROM scratch\nCOPY x /", {}, ()),
        ("ARG V=1\nFROM a:$V", {}, ("a:1",)),
        ("ARG V=1\nFROM a:${V}", {"V": "2"}, ("a:2",)),
        ("ARG V\nFROM a:${V:-3}", {}, ("a:3",)),
        ("ARG V\nFROM a:$V", {}, ()),
        ("FROM \\\n  a:1\n", {}, ("a:1",)),
        ("# FROM z\nFROM a", {}, ("a",)),
        ("FROM a\nRUN python <<EOF\nfrom os import path\nEOF\nFROM b", {}, ("a", "b")),
        ("FROM a\nFROM a", {}, ("a",)),
    ],
    ids=[
        "plain", "lower case", "platform and stage", "stage of another case", "copy from image",
        "copy from number", "scratch", "default of an argument", "given argument",
        "default in place", "argument without value", "continued line", "comment", "heredoc",
        "twice",
    ],
)  # fmt: skip
def test_bases_are_found(text: str, args: dict[str, str], expected: tuple[str, ...]) -> None:
    assert base_references(text, args) == expected


def test_official_frontend_is_not_fetched() -> None:
    text, syntax = without_syntax("# syntax=docker/dockerfile:1.4\nFROM a\n")

    assert (text, syntax) == ("\nFROM a\n", "docker/dockerfile:1.4")


def test_directives_after_the_syntax_line_stay_directives() -> None:
    text, _ = without_syntax("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\n")

    assert text == "# escape=`\nFROM a\n"


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=example.com/frontend:1\nFROM a\n",
        "# syntax=docker/dockerfile:1-labs\nFROM a\n",
        "FROM a\n# syntax=docker/dockerfile:1\n",
    ],
    ids=["another frontend", "experimental frontend", "not at the top"],
)
def test_other_syntax_lines_stay(text: str) -> None:
    assert without_syntax(text) == (text, None)
