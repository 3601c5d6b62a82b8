"""Incomplete copies of checkouts cause a remark."""

from pathlib import Path

from conducto_core.images.contexts import Ignore, git_remarks, read_context

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def remarks(root: Path) -> list[str]:
    return list(git_remarks(read_context(str(root), Ignore())))


def test_pointers_of_lfs_are_named(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for number in range(5):
        (tmp_path / f"{number}.bin").write_text(POINTER)
    (tmp_path / "real.bin").write_text("x" * 200)

    (line,) = remarks(tmp_path)

    assert "'0.bin', '1.bin', '2.bin' and 2 more are pointers of Git LFS" in line


def test_a_worktree_is_named(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /home/ada/repo/.git/worktrees/w\n")

    (line,) = remarks(tmp_path)

    assert "'.git' is a file that points to /home/ada/repo/.git/worktrees/w" in line


def test_submodules_and_clones_are_fine(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".git").write_text("gitdir: ../.git/modules/sub\n")

    assert remarks(tmp_path) == []
