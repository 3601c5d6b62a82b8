"""Ownership of resources: every home has its own mark, even if its directory moves."""

import json
import shutil
from pathlib import Path

import pytest

from conducto_local.agent.state_dir import StateDir, installation_id


@pytest.fixture
def home(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "base", "default")


def test_a_home_keeps_its_mark(home: StateDir) -> None:
    first = installation_id(home)

    assert installation_id(StateDir(home.base, "default")) == first


def test_homes_of_one_path_and_profile_have_marks_of_their_own(home: StateDir) -> None:
    """As two containers have that share an engine's socket."""
    first = installation_id(home)
    shutil.rmtree(home.base)

    assert installation_id(home) != first


def test_profiles_have_marks_of_their_own(home: StateDir) -> None:
    assert installation_id(home) != installation_id(StateDir(home.base, "other"))


def test_a_home_that_was_moved_keeps_its_mark(home: StateDir, tmp_path: Path) -> None:
    first = installation_id(home)
    home.base.rename(tmp_path / "moved")
    moved = StateDir(tmp_path / "moved", "default")

    assert installation_id(moved) == first
    assert installation_id(moved) == first


def test_copied_home_gets_a_new_mark(home: StateDir, tmp_path: Path) -> None:
    first = installation_id(home)
    shutil.copytree(home.base, tmp_path / "copy")
    copy = StateDir(tmp_path / "copy", "default")

    made = installation_id(copy)

    assert made != first
    assert installation_id(copy) == made
    assert installation_id(home) == first


def test_another_path_to_the_same_home_is_not_a_copy(home: StateDir, tmp_path: Path) -> None:
    first = installation_id(home)
    (tmp_path / "link").symlink_to(home.base)

    assert installation_id(StateDir(tmp_path / "link", "default")) == first


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"mark": "x", "root": "/"}', b"\xff"])
def test_invalid_identity_is_replaced(home: StateDir, kept: bytes) -> None:
    home.make()
    (home.agent / "identity").write_bytes(kept)

    made = installation_id(home)

    assert json.loads((home.agent / "identity").read_text())["mark"] == made
    assert [path.name for path in home.agent.iterdir()] == ["identity"]
