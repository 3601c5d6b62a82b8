"""Watches the directories of triggers: each new file is an event."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from conducto_core.api.problems import ProblemError
from conducto_core.events.intake import EventIntake
from conducto_core.events.model import REMEMBERED_SECONDS, Event
from conducto_core.schedules.model import Schedule
from conducto_core.schedules.port import Schedules

logger = logging.getLogger(__name__)

#: Seconds between two looks at the directories; a file is complete when it has not changed since
#: the last one.
LOOK_EVERY = 2.0


class _File(NamedTuple):
    path: str
    size: int
    modified: int


class DirectoryWatch:
    """Looks for new files in the directories of triggers.

    Files that arrive while the agent is off are found at its start: the store knows the others.

    Args:
        changed: Called after an event.
    """

    def __init__(self, store: Schedules, intake: EventIntake, changed: Callable[[], None]) -> None:
        self._store = store
        self._intake = intake
        self._changed = changed
        self._seen: dict[str, set[_File]] = {}
        self._taken: dict[str, set[_File]] = {}
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                if await asyncio.to_thread(self.poll):
                    self._changed()
            except Exception:
                # The next look may succeed, and the agent must continue to run pipelines.
                logger.exception("the directories of triggers were not looked at")
            await asyncio.sleep(LOOK_EVERY)

    def poll(self) -> int:
        """Take the files that are new and complete; return their number."""
        triggers = [
            one
            for one in self._store.list_by_name("")
            if one.on is not None and one.on.source == "watch"
        ]
        return sum(map(self._look_at, triggers))

    def _look_at(self, trigger: Schedule) -> int:
        directory = "" if trigger.on is None else trigger.on.directory or ""
        place = f"{trigger.name}\0{trigger.created}\0{directory}"
        files = set(_files(directory))
        taken = self._taken.setdefault(place, set()) & files
        complete = (self._seen.get(place, set()) & files) - taken
        self._seen[place], self._taken[place] = files, taken
        oldest = max(trigger.created, self._intake.clock() - REMEMBERED_SECONDS / 2)
        new = sorted(one for one in complete if one.modified / 1e9 >= oldest)
        for number, file in enumerate(new):
            try:
                self._intake.add("", trigger.name, _event(directory, file))
            except ProblemError:  # the rate: the others wait for the next look
                return number
            taken.add(file)
        return len(new)


def _files(directory: str) -> Iterator[_File]:
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):  # it was moved away meanwhile
                if not entry.name.startswith(".") and entry.is_file():
                    found = entry.stat()
                    yield _File(entry.path, found.st_size, found.st_mtime_ns)


def _event(directory: str, file: _File) -> Event:
    payload = {
        "path": file.path,
        "name": Path(file.path).name,
        "size": file.size,
        "modified": file.modified / 1e9,
    }
    key = f"{file.path}\0{file.size}\0{file.modified}"
    return Event(key=key, source=directory, type="file", payload=payload)
