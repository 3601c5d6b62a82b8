"""The command `conducto-profile`, as a real process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "conducto.tools.profile"


@pytest.fixture
def profile(tool):
    return lambda *arguments, **options: tool(MODULE, *arguments, **options)


def test_profiles_are_added_and_listed(profile) -> None:
    first = profile("add", "--url", "https://a/").stdout.decode().split()[1]
    second = profile("add", "--url", "https://b", CONDUCTO_EMAIL="me@b").stdout.decode().split()[1]

    listed = profile("list").stdout.decode()

    assert f"Profile {first} default\n    URL: https://a\n" in listed
    assert f"Profile {second}\n    URL: https://b\n    E-mail: me@b\n" in listed


@pytest.mark.parametrize("words", [["--help"], ["add", "--help"], ["delete", "-h"]])
def test_help_explains_the_commands(profile, words: list[str]) -> None:
    result = profile(*words)

    assert (result.returncode, result.stderr) == (0, b"")
    assert b"add a profile for the server at URL" in result.stdout


def test_profile_is_optional(profile) -> None:
    result = profile("list")

    assert result.returncode == 0
    assert result.stdout.startswith(b"No profiles.")


def test_the_default_can_be_chosen(profile) -> None:
    profile("add", "--url", "https://a")
    second = profile("add", "--url", "https://b").stdout.decode().split()[1]

    profile("set-default", second)

    assert f"Profile {second} default" in profile("list").stdout.decode()


def test_a_new_profile_can_be_the_default(profile) -> None:
    profile("add", "--url", "https://a")

    second = profile("add", "--url", "https://b", "--default").stdout.decode().split()[1]

    assert f"Profile {second} default" in profile("list").stdout.decode()


def test_a_token_is_not_listed(profile, home: Path) -> None:
    made = profile("add", "--url", "https://a", "--token", "very-secret").stdout.decode().split()[1]

    assert b"very-secret" not in profile("list").stdout
    assert "very-secret" in (home / made / "config").read_text()


@pytest.mark.parametrize("response", [b"", b"n\n", b"\n"])
def test_nothing_is_deleted_without_a_yes(response: bytes, profile) -> None:
    made = profile("add", "--url", "https://a").stdout.decode().split()[1]

    result = profile("delete", "--id", made, stdin=response)

    assert result.returncode == 1
    assert b"nothing deleted" in result.stderr
    assert made in profile("list").stdout.decode()


@pytest.mark.parametrize(("options", "response"), [(["--force"], b""), ([], b"y\n")])
def test_a_profile_is_deleted_by_its_address(options: list[str], response: bytes, profile) -> None:
    profile("add", "--url", "https://a")
    kept = profile("add", "--url", "https://b").stdout.decode().split()[1]

    result = profile("delete", "--url", "https://a/", *options, stdin=response)

    assert result.returncode == 0
    listed = profile("list").stdout.decode()
    assert "https://a" not in listed
    assert kept in listed


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "give a command"),
        (["frobnicate"], 2, "'frobnicate' is not a command"),
        (["add"], 2, "missing argument URL"),
        (["add", "--url", "host"], 1, "'host' is not the address of a server"),
        (["set-default", "missing"], 1, "no profile 'missing'"),
        (["delete"], 1, "choose the profile to delete"),
        (["delete", "--id", "missing"], 1, "no profile matches"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_error_is_reported(words: list[str], code: int, text: str, profile) -> None:
    result = profile(*words)

    assert result.returncode == code
    assert text in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()
