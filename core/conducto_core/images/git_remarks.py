"""Warnings about files that a copy of a git checkout lacks."""

from collections.abc import Iterator
from pathlib import Path

from conducto_core.images.contexts import Context, Entry

#: First line of a file whose content is in Git LFS, and possible sizes of such a file.
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_SIZES = range(100, 1024)
#: Maximum bytes to read of a file.
_READ = 1 << 16
#: Maximum number of pointers to name.
_NAMED = 3


def git_remarks(context: Context) -> Iterator[str]:
    """Yield warnings about a checkout that is copied into an image."""
    for entry in context.entries:
        if entry.path == ".git" or entry.path.endswith("/.git"):
            yield from _worktree(entry)
    has_lfs = any(map(_names_lfs, context.entries))
    pointers = [entry.path for entry in context.entries if has_lfs and _is_pointer(entry)]
    if pointers:
        named = ", ".join(map(repr, pointers[:_NAMED]))
        more = f" and {len(pointers) - _NAMED} more" if len(pointers) > _NAMED else ""
        yield (
            f"warning: {named}{more} are pointers of Git LFS, not the files themselves; "
            "install git-lfs and run 'git lfs install && git lfs pull', then launch again"
        )


def _worktree(entry: Entry) -> Iterator[str]:
    """Yield a warning if the repository is outside; a submodule's, with a relative path, is not."""
    if entry.size == 0 or entry.link is not None:
        return
    target = _read(entry).decode(errors="replace").removeprefix("gitdir: ").strip()
    if target.startswith("/"):
        yield (
            f"warning: {entry.path!r} is a file that points to {target} on this machine, as in a "
            "worktree of git: git does not work in the image. Launch from a clone if it must"
        )


def _names_lfs(entry: Entry) -> bool:
    return entry.path.rpartition("/")[2] == ".gitattributes" and b"filter=lfs" in _read(entry)


def _is_pointer(entry: Entry) -> bool:
    is_file = entry.link is None and entry.size in _POINTER_SIZES
    return is_file and _read(entry).startswith(_POINTER)


def _read(entry: Entry) -> bytes:
    try:
        with Path(entry.source).open("rb") as file:
            return file.read(_READ)
    except OSError:
        return b""
