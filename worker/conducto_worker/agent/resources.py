"""What the running command uses, asked of ECS and handed to the API beside what it prints.

Each piece that is handed over costs calls of the cloud, so the longer a command runs the more
samples are in one.
"""

import threading
import time
from collections.abc import Callable

from conducto.running.container_stats import Reading
from conducto.running.resource_series import ResourceWriter
from conducto_worker.agent.ports import Clock
from conducto_worker.agent.shipping import Shipper

#: Seconds between two samples, and until the first.
EVERY_SECONDS = 5.0
FIRST_SECONDS = 2.0
#: Seconds between two pieces at first; later a part of the time that the command has run.
PIECE_SECONDS = 15.0
_PART = 0.1
_LOOK_SECONDS = 1.0


class _Followed:
    """What is known of one command's use."""

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
        """Take in an answer; the first one only says where to count from."""
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

    def take(self, now: float, *, last: bool) -> bytes:
        """Return the lines that are to be handed over now."""
        wait = max(PIECE_SECONDS, _PART * (now - self._begin))
        if not last and now - self._handed < wait:
            return b""
        taken, self._handed = bytes(self.lines), now
        self.lines.clear()
        return taken


class Sampler:
    """Follows one command after the other; safe to use from two threads.

    Args:
        ask: Returns what the user's container has used; None where nobody knows.
        wall: Seconds since the epoch.
    """

    def __init__(
        self,
        ask: Callable[[], Reading | None],
        shipper: Shipper,
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
        """A command begins; the shipper knows which."""
        with self._lock:
            self._followed = _Followed(self._clock.now(), self._wall())

    def end(self) -> None:
        """It has ended; its output is still open."""
        with self._lock:
            if self._followed is not None:
                self._hand_over(self._followed, last=True)
            self._followed = None

    def step(self) -> None:
        """Ask if it is time to; the answer counts only for the command that it was asked for."""
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
        """Follow until told to leave."""
        while not leaving.wait(_LOOK_SECONDS):
            self.step()

    def _hand_over(self, followed: _Followed, *, last: bool) -> None:
        lines = followed.take(self._clock.now(), last=last)
        self._shipper.add("resources", lines)
