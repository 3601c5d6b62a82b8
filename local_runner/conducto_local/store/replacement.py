"""Replaces the file of a store: a process that is killed leaves the old store or the new one.

The old file and its log cannot be replaced in one step. A new file is therefore complete once it
has its name; the next process that opens the store does the remaining steps.
"""

import os
import shutil
import time
from itertools import count
from pathlib import Path

_NEW = ".repaired-"
_OLD = ".damaged-"


def replace_store(path: Path, new: Path, now: float) -> Path:
    """Replace the store at ``path``, which no process has open; return its new path."""
    if new.with_name(f"{new.name}-wal").exists():
        raise OSError(f"{new}: its log could not be written to the file; is the disk full?")
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    names = (f"{path.name}{_OLD}{moment}{f'-{n}' if n > 1 else ''}" for n in count(1))
    old = next(each for each in map(path.with_name, names) if not each.exists())
    _sync(new)
    new.replace(old.with_name(old.name.replace(_OLD, _NEW)))
    _sync(path.parent)
    finish_replacement(path)
    return old


def finish_replacement(path: Path) -> None:
    """Complete a replacement of the store at ``path`` whose process was killed, if there is one."""
    for new in path.parent.glob(f"{path.name}{_NEW}*"):
        old = path.with_name(new.name.replace(_NEW, _OLD))
        for suffix in ("-wal", "-shm"):
            part, target = (each.with_name(each.name + suffix) for each in (path, old))
            if part.exists() and target.exists():
                part.unlink()  # a reader made it after the log was moved
            elif part.exists():
                part.replace(target)
        if path.exists() and not old.exists():
            _link(path, old)
        new.replace(path)
        _sync(path.parent)


def _link(path: Path, old: Path) -> None:
    """Give a file a second name; copy it where the file system has no links."""
    try:
        os.link(path, old)
    except OSError:
        partial = old.with_name(f"{old.name}.partial")
        shutil.copyfile(path, partial)
        partial.replace(old)


def _sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
