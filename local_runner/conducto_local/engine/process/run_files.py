"""The run directory of a command that is a plain process: its inputs and outputs."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from glob import iglob
from itertools import chain
from pathlib import Path

from conducto.wire.junit import patterns_in
from conducto_core.command.server import (
    INPUTS_FILE,
    JUNIT_START,
    MAX_FILE,
    MAX_JUNIT,
    OUTPUT_FILES,
    REPORT_FILES,
)

#: Files whose lines are read while the command runs, and maximum bytes of one look.
LIVE_FILES = ("metrics", "artifacts")
_TAIL = 256 << 10
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def prepare(directory: Path, inputs: str) -> None:
    """Create the directory for the next command, without the files of an earlier one."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    if inputs:
        (directory / INPUTS_FILE).write_text(inputs, "utf-8")


def reports_in(env: Mapping[str, str], directory: Path, script: Path) -> dict[str, bytes]:
    """Return the reports that a command wrote after its script was written, by kind."""
    return {
        name: _reports(patterns, directory, script)
        for variable, name in REPORT_FILES.items()
        if (patterns := patterns_in(env, variable))
    }


def _reports(patterns: list[str], directory: Path, script: Path) -> bytes:
    found, since = bytearray(), script.stat().st_mtime
    for name in chain.from_iterable(iglob(each, root_dir=directory) for each in patterns):  # noqa: PTH207
        file = directory / name
        if "\n" not in name and file.is_file() and file.stat().st_mtime >= since:
            found += JUNIT_START + os.fsencode(name) + b"\n"
            found += _content(str(file), None, 0, MAX_JUNIT)
            if len(found) >= MAX_JUNIT:
                break
    return bytes(found[:MAX_JUNIT])


def files_in(directory: Path) -> dict[str, bytes]:
    """Return the files that a command left, each at most `MAX_FILE` bytes.

    The command's user may be another one than the agent's, so only regular files directly in the
    directory are read: neither a link nor a pipe that a command put there.
    """
    try:
        parent = os.open(directory, _OPEN | os.O_DIRECTORY)
    except OSError:
        return {}
    try:
        found = {name: _content(name, parent) for name in OUTPUT_FILES}
    finally:
        os.close(parent)
    return {name: content for name, content in found.items() if content}


class RunFileTail:
    """Reads the lines that a running command adds to its metrics and artifacts, as frames.

    A look that finds nothing new costs two system calls for each file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._offsets = dict.fromkeys(LIVE_FILES, 0)

    def frames(self) -> list[bytes]:
        """Return the lines since the last call, each in the form of `OutputParser.parts`."""
        try:
            parent = os.open(self._directory, _OPEN | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return [frame for name in LIVE_FILES for frame in self._lines(name, parent)]
        finally:
            os.close(parent)

    def _lines(self, name: str, parent: int) -> Iterator[bytes]:
        data = _content(name, parent, self._offsets[name], _TAIL)
        new, newline, _ = data.rpartition(b"\n")
        if newline:
            self._offsets[name] += len(new) + 1
            yield from (name.encode() + b" " + line for line in new.split(b"\n") if line)
        elif len(data) == _TAIL:  # a part of a line that is too long: no frame is kept from it
            self._offsets[name] += len(data)


def _content(name: str, parent: int | None, start: int = 0, size: int = MAX_FILE) -> bytes:
    try:
        descriptor = os.open(name, _OPEN, dir_fd=parent)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        file.seek(start)
        return file.read(size)
