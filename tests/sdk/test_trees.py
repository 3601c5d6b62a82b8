"""Removing directory trees that a command may have made in any shape."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conducto.files.trees import remove_tree, walk_files
from conducto_local.agent.state_dir import StateDir

DEEP = 1500


def make_deep(root: Path, levels: int = DEEP) -> Path:
    """Make a tree that is deeper than recursion and paths go, a file on each hundredth level."""
    root.mkdir()
    folder = os.open(root, os.O_RDONLY)
    for level in range(levels):
        if level % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    return root


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """Return a directory of a file system in memory: a disk takes seconds for a deep tree."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def test_a_discarded_pipeline_with_a_deep_tree_is_erased(in_memory: Path) -> None:
    home = StateDir(in_memory / "home", "test")
    pipeline = home.make_pipeline("abc-abc")
    make_deep(pipeline.data / "deep")
    with pytest.raises(RecursionError):
        shutil.rmtree(pipeline.data)
    found = [entry.path for entry in walk_files(str(pipeline.data))]
    path = home.discard_pipeline("abc-abc")

    assert f"{pipeline.data}/deep/file" in found
    assert path is not None
    assert home.erase(path)
    assert home.discarded() == []


def test_a_wide_tree_is_removed(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d/e", "f/g"):
        (tmp_path / "wide" / name).mkdir(parents=True)
        (tmp_path / "wide" / name / "file").write_text("x")

    remove_tree(str(tmp_path / "wide"))

    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    (tmp_path / "tree" / "below").mkdir(parents=True)
    for folder in (tmp_path / "tree", tmp_path / "tree" / "below"):
        (folder / "link").symlink_to(outside)
        (folder / "broken").symlink_to("nowhere")

    remove_tree(str(tmp_path / "tree"))

    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


def test_a_link_is_not_taken_for_a_tree(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outside")

    with pytest.raises(OSError, match="link"):
        remove_tree(str(tmp_path / "link"))

    assert (tmp_path / "outside").is_dir()


def test_directories_without_permissions_are_removed(tmp_path: Path) -> None:
    closed = tmp_path / "tree" / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    closed.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)

    remove_tree(str(tmp_path / "tree"))

    assert list(tmp_path.iterdir()) == []
