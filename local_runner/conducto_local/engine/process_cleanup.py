"""Cleanup after workers of the process engine whose agent was killed.

Each worker has a directory with its scripts and its labels. A command is identified by the script
that its shell was started with, so no other process is ever killed.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

FOLDER_PREFIX = "conducto-process-"
SCRIPT = "cmd.sh"
_LABELS = "labels.json"
_PROCESSES = Path("/proc")
#: Seconds to wait for killed processes to exit.
_TIMEOUT = 2.0
_STEP = 0.01


def mark(folder: Path, labels: Mapping[str, str]) -> None:
    """Record a worker's labels in its directory."""
    (folder / _LABELS).write_text(json.dumps(dict(labels)))


def has_mark(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether ``labels`` contain everything in ``wanted``."""
    return wanted.items() <= labels.items()


def clean_up(labels: Mapping[str, str], live: Collection[Path]) -> int:
    """Kill the commands and remove the directories of dead workers with all these labels."""
    found = [
        folder
        for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*")
        if folder not in live and _is_own(folder) and has_mark(_labels(folder), labels)
    ]
    if found:
        _kill({str(folder / SCRIPT) for folder in found})
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def _is_own(folder: Path) -> bool:
    """Return whether this user made a directory: other users may make directories beside it."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return status.st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink()


def _labels(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / _LABELS).read_text())
    except (OSError, ValueError):
        return {}
    return found


def _kill(scripts: Collection[str]) -> None:
    """Kill the process groups of the shells that run ``scripts``; wait until they have exited."""
    end = time.monotonic() + _TIMEOUT
    while groups := list(_shells(scripts)):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if time.monotonic() > end:
            return
        time.sleep(_STEP)


def _shells(scripts: Collection[str]) -> Iterator[int]:
    for pid, script in processes() if _PROCESSES.is_dir() else processes_by_ps():
        with contextlib.suppress(OSError):  # it has ended
            if script in scripts and os.getpgid(pid) == pid:
                yield pid


def processes() -> Iterator[tuple[int, str]]:
    """Yield the pid of each process and its first argument, from ``/proc``."""
    for directory in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if len(words) > 1:
                yield int(directory.name), os.fsdecode(words[1])


def processes_by_ps() -> Iterator[tuple[int, str]]:
    """Yield the same without ``/proc``, as on macOS; only for arguments without blanks."""
    words = ["ps", "-A", "-ww", "-o", "pid=", "-o", "args="]
    try:
        listed = subprocess.run(words, capture_output=True, check=False).stdout  # noqa: S603
    except OSError:
        return
    for line in listed.splitlines():
        pid, *command = line.split(None, 3)[:3]
        if len(command) > 1:
            yield int(pid), os.fsdecode(command[1])
