"""The commits of a script that is launched, for the diagnosis of its pipelines."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conducto.wire import git_files

#: Maximum number of commits, and of files of each; see `conducto_core.diagnosis.model`.
_COMMITS, _FILES = 50, 20
#: Seconds after which a launch does without them.
_SECONDS = 3.0
_RECORD, _UNIT = "\x1e", "\x1f"


def commits_of(script: str | None) -> dict[str, Any] | None:
    """Return the commit of a script's clone and the commits before it, as in a launch form.

    Returns:
        None if it is in no clone, or if ``git`` is missing or too slow.
    """
    root = None if script is None else git_files.find_root(str(Path(script).parent))
    sha = None if root is None else git_files.commit(root)
    if root is None or sha is None:
        return None
    format_ = f"--format={_RECORD}%H{_UNIT}%an{_UNIT}%s"
    log = _git(root, "log", f"-{_COMMITS}", "--no-renames", "--name-only", format_)
    status = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        "sha": sha,
        "branch": git_files.branch(root),
        "dirty": bool(status),
        "commits": [] if log is None else list(_commits_in(log)),
    }


def _git(root: str, *arguments: str) -> str | None:
    command = ["git", "-c", "core.quotePath=false", "-C", root, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own words and a directory
            command, capture_output=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _commits_in(log: str) -> Iterator[dict[str, Any]]:
    for record in log.split(_RECORD)[1:]:
        first, *files = record.strip("\n").split("\n")
        sha, author, subject = (*first.split(_UNIT, 2), "", "")[:3]
        yield {
            "sha": sha,
            "author": author[:100],
            "subject": subject[:200],
            "files": [name for name in files if name][:_FILES],
        }
