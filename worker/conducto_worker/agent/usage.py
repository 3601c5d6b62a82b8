"""Resource usage of the running command, read from ECS and sent to the API with the output.

Each chunk costs several AWS requests, so the longer a command runs the more samples a chunk has.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from conducto_core.command.task_layout import USER
from conducto_core.command.usage import Reading, ResourceWriter, reading_of
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.port import Clock

#: Seconds between two samples, and until the first.
EVERY_SECONDS = 5.0
FIRST_SECONDS = 2.0
#: Seconds between two chunks at first; later a fraction (`_PART`) of the command's run time.
CHUNK_SECONDS = 15.0
_PART = 0.1
_LOOK_SECONDS = 1.0


class _Followed:
    """The samples of one command."""

    def __init__(self, now: float, wall: float) -> None:
        self.last = now
        self.due = now + FIRST_SECONDS
        self.before: Reading | None = None
        self.lines = bytearray()
        self._begin = now
        self._wall = wall
        self._handed = now
        self._writer: ResourceWriter | None = None

    def add(self, now: float, reading: Reading) -> None:
        """Add a reading; the first one is only the baseline."""
        before, self.before = self.before, reading
        if self._writer is None or before is None:
            self._wall += now - self._begin
            self._begin = self.last = now
            self._writer = ResourceWriter(
                self.lines.extend, interval=EVERY_SECONDS, since=self._wall
            )
        else:
            cpu = (reading.cpu_seconds - before.cpu_seconds) / max(now - self.last, 0.001)
            self._writer.add(now - self._begin, cpu, reading.memory)
            self.last = now
        self.due = now + self._writer.interval

    def due_lines(self, now: float, *, last: bool) -> bytes:
        """Return the lines to send now; empty if it is too early."""
        wait = max(CHUNK_SECONDS, _PART * (now - self._begin))
        if not last and now - self._handed < wait:
            return b""
        taken, self._handed = bytes(self.lines), now
        self.lines.clear()
        return taken


class Sampler:
    """Samples one command after the other; safe to use from two threads.

    Args:
        ask: Returns the usage of the user's container; None if it is unknown.
        wall: Returns seconds since the epoch.
    """

    def __init__(
        self,
        ask: Callable[[], Reading | None],
        shipper: LogShipper,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._shipper = shipper
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._followed: _Followed | None = None

    def begin(self) -> None:
        """Start sampling the command whose output the shipper collects."""
        with self._lock:
            self._followed = _Followed(self._clock.now(), self._wall())

    def end(self) -> None:
        """Stop sampling; call it before the output of the command is closed."""
        with self._lock:
            if self._followed is not None:
                self._hand_over(self._followed, last=True)
            self._followed = None

    def step(self) -> None:
        """Take a sample if one is due; drop it if the command has changed meanwhile."""
        followed = self._followed
        if followed is None or self._clock.now() < followed.due:
            return
        asked = self._clock.now()
        reading = self._ask()
        now = (asked + self._clock.now()) / 2
        with self._lock:
            if followed is not self._followed:
                return
            if reading is None:
                followed.due = now + EVERY_SECONDS
                return
            followed.add(now, reading)
            self._hand_over(followed, last=False)

    def run(self, leaving: threading.Event) -> None:
        while not leaving.wait(_LOOK_SECONDS):
            self.step()

    def _hand_over(self, followed: _Followed, *, last: bool) -> None:
        lines = followed.due_lines(self._clock.now(), last=last)
        self._shipper.write("resources", lines)


_TIMEOUT = 4.0
_METADATA = "ECS_CONTAINER_METADATA_URI_V4"


def metadata(env: Mapping[str, str], path: str) -> Any:
    """Return a response of the task metadata endpoint; None if it is not available.

    Source: Amazon ECS, "Task metadata endpoint version 4".
    """
    base = env.get(_METADATA)
    if base is None:
        return None
    try:
        with urllib.request.urlopen(f"{base}{path}", timeout=_TIMEOUT) as response:  # noqa: S310 (ECS's own)
            return json.load(response)
    except (OSError, ValueError):
        return None


def user_stats(get: Callable[[str], Any]) -> Callable[[], Reading | None]:
    """Return a function that reads the usage of the user's container."""
    known: list[str] = []

    def ask() -> Reading | None:
        if not known:
            known.extend(_ids(get("/task")))
        stats = get("/task/stats") if known else None
        found = stats.get(known[0]) if isinstance(stats, dict) else None
        return None if found is None else reading_of(found)

    return ask


def _ids(task: Any) -> list[str]:
    """Return the engine's id of the user's container; empty if it is unknown."""
    containers = task.get("Containers") if isinstance(task, dict) else None
    return [str(one["DockerId"]) for one in containers or () if one.get("Name") == USER][:1]
