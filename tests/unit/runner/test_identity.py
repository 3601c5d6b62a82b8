"""Whose things are: every home has a mark of its own, whatever happens to its directory."""

import json
import shutil
from pathlib import Path

import pytest

from conducto_local.home import Home
from conducto_local.identity import identity_of, path_mark


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "base", "default")


def test_a_home_keeps_its_mark(home: Home) -> None:
    first = identity_of(home)

    assert identity_of(Home(home.base, "default")) == first
    assert first.marks == (first.mark,)


def test_homes_of_one_path_and_profile_have_marks_of_their_own(home: Home) -> None:
    """As two containers have that share an engine's socket."""
    first = identity_of(home)
    shutil.rmtree(home.base)

    assert identity_of(home).mark != first.mark


def test_profiles_have_marks_of_their_own(home: Home) -> None:
    assert identity_of(home).mark != identity_of(Home(home.base, "other")).mark


def test_a_home_that_was_moved_keeps_its_mark(home: Home, tmp_path: Path) -> None:
    first = identity_of(home)
    home.base.rename(tmp_path / "moved")
    moved = Home(tmp_path / "moved", "default")

    assert identity_of(moved) == first
    assert identity_of(moved) == first


def test_a_copy_gets_a_mark_of_its_own_and_the_original_keeps_its(
    home: Home, tmp_path: Path
) -> None:
    first = identity_of(home)
    shutil.copytree(home.base, tmp_path / "copy")
    copy = Home(tmp_path / "copy", "default")

    made = identity_of(copy)

    assert made.mark != first.mark
    assert identity_of(copy) == made
    assert identity_of(home) == first


def test_another_path_to_the_same_home_is_no_copy(home: Home, tmp_path: Path) -> None:
    first = identity_of(home)
    (tmp_path / "link").symlink_to(home.base)

    assert identity_of(Home(tmp_path / "link", "default")) == first


def test_a_home_of_an_earlier_version_owns_what_bears_its_path(home: Home, tmp_path: Path) -> None:
    home.make()
    home.store.touch()
    older = path_mark(home)

    first = identity_of(home)
    home.base.rename(tmp_path / "moved")

    assert first.marks == (first.mark, older)
    assert identity_of(Home(tmp_path / "moved", "default")).marks == (first.mark, older)


@pytest.mark.parametrize(
    "kept", [b"", b"{", b"[]", b'{"mark": "x", "older": null, "root": "/"}', b"\xff"]
)
def test_what_is_no_identity_is_made_anew(home: Home, kept: bytes) -> None:
    home.make()
    (home.agent / "identity").write_bytes(kept)

    made = identity_of(home)

    assert json.loads((home.agent / "identity").read_text())["mark"] == made.mark
    assert [path.name for path in home.agent.iterdir()] == ["identity"]
