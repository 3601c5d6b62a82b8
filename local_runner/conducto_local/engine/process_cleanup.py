"""What workers of the process engine leave behind when their agent is killed.

Each worker has a folder for its scripts, with its labels in it. A command is found by the script
that its shell was started with, so no other process is ever taken for one.
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
#: Seconds for a killed process to be gone; it may be deep in the kernel.
_TIMEOUT = 2.0
_STEP = 0.01


def mark(folder: Path, labels: Mapping[str, str]) -> None:
    """Write down in a worker's folder whose it is."""
    (folder / _LABELS).write_text(json.dumps(dict(labels)))


def has_mark(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether all that is wanted is among ``labels``."""
    return wanted.items() <= labels.items()


def clean_up(labels: Mapping[str, str], ours: Collection[Path]) -> int:
    """Kill the commands and remove the folders of dead workers that bear all these labels.

    Args:
        labels: ``{name: value}``.
        ours: Folders of workers that live.

    Returns:
        How many workers there were.
    """
    found = [
        folder
        for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*")
        if folder not in ours and _is_own(folder) and has_mark(_labels(folder), labels)
    ]
    if found:
        _kill({str(folder / SCRIPT) for folder in found})
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def _is_own(folder: Path) -> bool:
    """Return whether we made it: anybody may make folders beside it."""
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
    """Kill the process groups of the shells that run ``scripts``; return when they are gone."""
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
    """Yield the number of each process and its first argument, from ``/proc``."""
    for directory in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if len(words) > 1:
                yield int(directory.name), os.fsdecode(words[1])


def processes_by_ps() -> Iterator[tuple[int, str]]:
    """Yield the same where there is no ``/proc``, as on macOS; arguments without blanks only."""
    words = ["ps", "-A", "-ww", "-o", "pid=", "-o", "args="]
    try:
        listed = subprocess.run(words, capture_output=True, check=False).stdout  # noqa: S603
    except OSError:
        return
    for line in listed.splitlines():
        pid, *command = line.split(None, 3)[:3]
        if len(command) > 1:
            yield int(pid), os.fsdecode(command[1])
