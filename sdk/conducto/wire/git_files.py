"""The contents of a git checkout's files, read without git (the image may not have it)."""

# ruff: noqa: PTH110, PTH112, PTH118, PTH120, PTH123
# pathlib is a heavy import.

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

_roots: Dict[str, Optional[str]] = {}


def find_root(directory: str) -> Optional[str]:
    """Return the checkout that contains ``directory`` (absolute), or None."""
    if directory not in _roots:
        above = os.path.dirname(directory)
        if os.path.exists(os.path.join(directory, ".git")):
            _roots[directory] = directory
        else:
            _roots[directory] = None if above == directory else find_root(above)
    return _roots[directory]


def _git_dir(root: str) -> str:
    path = os.path.join(root, ".git")
    if os.path.isdir(path):
        return path
    text = _read(path)  # a worktree or a submodule: "gitdir: <where>"
    where = text.partition("gitdir:")[2].strip()
    return os.path.normpath(os.path.join(root, where))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def origin_url(root: str) -> Optional[str]:
    """Return the URL of the remote ``origin`` of the checkout ``root``, or None."""
    directory = _git_dir(root)
    common = _read(os.path.join(directory, "commondir")).strip()
    section = ""
    for line in _read(os.path.join(directory, common, "config")).splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text
        elif section == '[remote "origin"]' and text.partition("=")[0].strip() == "url":
            return text.partition("=")[2].strip() or None
    return None


def branch(root: str) -> Optional[str]:
    """Return the branch that is checked out in ``root``, or None for a detached head."""
    head = _read(os.path.join(_git_dir(root), "HEAD")).strip()
    prefix = "ref: refs/heads/"
    return head[len(prefix) :] if head.startswith(prefix) else None


def commit(root: str) -> Optional[str]:
    """Return the commit that is checked out in ``root``, or None if it has none."""
    directory = _git_dir(root)
    head = _read(os.path.join(directory, "HEAD")).strip()
    if not head.startswith("ref: "):
        return head or None
    name = head[len("ref: ") :]
    common = os.path.join(directory, _read(os.path.join(directory, "commondir")).strip())
    for place in (directory, common):
        found = _read(os.path.join(place, name)).strip()
        if found:
            return found
    for line in _read(os.path.join(common, "packed-refs")).splitlines():
        value, _, packed = line.partition(" ")
        if packed == name:
            return value
    return None


def without_credentials(url: str) -> str:
    """Return the address of a remote without a user name and a password in it.

    >>> without_credentials("https://ada:pass@example.com/shop.git")
    'https://example.com/shop.git'
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "ssh":  # git@host:path has no password
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
