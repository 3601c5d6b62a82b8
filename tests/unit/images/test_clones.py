"""Clones of git repositories, with real repositories on disk."""

import subprocess
from pathlib import Path

import pytest

from conducto_local.images.clones import Checkout, Clones, git_sha, without_password
from conducto_local.images.transcript import Transcript
from conducto_local.ports import ImageError


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


async def refresh(tmp_path: Path, origin: Path, branch: str = "main") -> Checkout:
    return await Clones(tmp_path / "cache").refresh(str(origin), branch, Transcript())


async def test_clone_holds_the_branch(tmp_path: Path, origin: Path) -> None:
    checkout = await refresh(tmp_path, origin)

    assert (checkout.path / "a").read_text() == "1"
    assert checkout.env == {
        "CONDUCTO_GIT_URL": str(origin),
        "CONDUCTO_GIT_BRANCH": "main",
        "CONDUCTO_GIT_SHA": await git_sha(origin),
    }


async def test_refresh_brings_what_was_pushed(tmp_path: Path, origin: Path) -> None:
    old = await refresh(tmp_path, origin)
    (old.path / "litter").write_text("")
    (origin / "a").write_text("2")
    git(origin, "commit", "-q", "-a", "-m", "two")

    new = await refresh(tmp_path, origin)

    assert (new.path / "a").read_text() == "2"
    assert not (new.path / "litter").exists()
    assert new.sha != old.sha


async def test_rewritten_branch_is_followed(tmp_path: Path, origin: Path) -> None:
    await refresh(tmp_path, origin)
    (origin / "a").write_text("3")
    git(origin, "commit", "-q", "-a", "--amend", "-m", "other")

    assert ((await refresh(tmp_path, origin)).path / "a").read_text() == "3"


async def test_refresh_without_news_changes_no_file(tmp_path: Path, origin: Path) -> None:
    def contents(path: Path) -> dict[str, bytes]:
        return {str(one): one.read_bytes() for one in path.rglob("*") if one.is_file()}

    await refresh(tmp_path, origin)
    before = contents((await refresh(tmp_path, origin)).path)

    assert contents((await refresh(tmp_path, origin)).path) == before


async def test_branch_that_is_not_there_is_named(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(ImageError, match=r"branch 'nope': git clone failed (.*\n)+.*nope"):
        await refresh(tmp_path, origin, "nope")


async def test_failed_clone_leaves_nothing_in_the_way(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(ImageError):
        await refresh(tmp_path, origin, "later")
    git(origin, "branch", "later")

    assert (await refresh(tmp_path, origin, "later")).branch == "later"


async def test_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert await git_sha(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:secret@example.com/r.git", "https://example.com/r.git"),
        ("https://token@example.com/r.git", "https://example.com/r.git"),
        ("https://example.com/r.git", "https://example.com/r.git"),
        ("git@example.com:me/r.git", "git@example.com:me/r.git"),
        ("ssh://git@example.com/r.git", "ssh://git@example.com/r.git"),
        ("/home/me@work/r", "/home/me@work/r"),
    ],
)
def test_passwords_are_not_shown(url: str, expected: str) -> None:
    assert without_password(url) == expected
