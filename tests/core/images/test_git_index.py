"""A Git checkout is copied alike, whatever Git rewrote in its index."""

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from conducto_core.images.contexts import Digests, Ignore, pack_for_upload, read_context, tree_hash
from conducto_core.images.git_index import is_index, normalized

FORMATS = {
    "version 2": ["--object-format=sha1"],
    "version 4": ["--object-format=sha1", "4"],
    "sha256": ["--object-format=sha256"],
}


def git(folder: Path, *words: str) -> str:
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    user = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    return subprocess.run(
        ["git", *user, *words],
        cwd=folder,
        env={**os.environ, **alone},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(params=FORMATS.values(), ids=FORMATS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A repository with a changed, an added, an intended, a hidden and many other files."""
    root = tmp_path / "checkout"
    root.mkdir()
    object_format, *version = request.param
    git(root, "init", "--quiet", object_format)
    if version:
        git(root, "config", "index.version", version[0])
    (root / "package" / ("deep" * 20)).mkdir(parents=True)
    for number in range(20):
        (root / "package" / ("deep" * 20) / f"{'m' * number}.py").write_text(f"{number}\n")
    (root / "changed").write_text("1\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "first")
    (root / "changed").write_text("2\n")
    (root / "added").write_text("x\n")
    (root / "intended").write_text("y\n")
    git(root, "add", "added")
    git(root, "add", "--intent-to-add", "intended")
    return root


def copied(root: Path, to: Path) -> Path:
    """Copy a checkout as an image gets it."""
    packed = b"".join(pack_for_upload(read_context(str(root), Ignore())))
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        tar.extractall(to, filter="tar")
    return to


def hash_of(root: Path) -> str:
    return tree_hash(read_context(str(root), Ignore()), Digests())


def test_hash_of_a_checkout_does_not_change_when_git_only_rewrites_its_index(
    checkout: Path,
) -> None:
    index = checkout / ".git" / "index"
    before, written = hash_of(checkout), index.read_bytes()

    for file in checkout.glob("package/*/*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    git(checkout, "status")
    refreshed = index.read_bytes()
    assert refreshed != written
    assert hash_of(checkout) == before
    git(checkout, "update-index", "--force-untracked-cache")
    assert index.read_bytes() != refreshed
    assert hash_of(checkout) == before
    git(checkout, "add", "changed")
    assert hash_of(checkout) != before


def test_git_works_in_the_copy(checkout: Path, tmp_path: Path) -> None:
    there = copied(checkout, tmp_path / "copy")

    assert git(there, "status", "--porcelain") == git(checkout, "status", "--porcelain")
    assert git(there, "ls-files", "--stage") == git(checkout, "ls-files", "--stage")
    assert git(there, "diff") == git(checkout, "diff")
    assert git(there, "fsck") == ""


def test_index_that_is_not_understood_is_copied_as_it_is(checkout: Path, tmp_path: Path) -> None:
    index = checkout / ".git" / "index"
    whole = index.read_bytes()
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    git(checkout, "update-index", "--split-index")
    split = index.read_bytes()

    assert normalized(damaged) == damaged
    assert normalized(split) == split
    assert normalized(b"") == b""
    there = copied(checkout, tmp_path / "copy")
    assert git(there, "status", "--porcelain") == git(checkout, "status", "--porcelain")


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        (".git/index", True),
        (".git/modules/lib/index", True),
        ("sub/.git/index", True),
        ("index", False),
        (".git/indexes", False),
        ("x.git/index", False),
        (".git/refs/heads/index/a", False),
    ],
)
def test_paths_of_an_index(path: str, is_one: bool) -> None:
    assert is_index(path) is is_one
