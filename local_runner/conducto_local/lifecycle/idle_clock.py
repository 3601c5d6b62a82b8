"""Idle time of pipelines that survives clock changes.

The time of day may jump: a battery is empty, a virtual machine resumes, or somebody sets it by
hand. That must not delete anything early. So the agent counts time itself: while it runs, the
lesser of the advances of the time of day and of a monotonic clock; while no agent runs, the advance
of the time of day, but at most a day per absence. The count is kept in a file, with the time at
which each pipeline was last active. It may be late, never early.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conducto_local.scheduling.clock import Clock

logger = logging.getLogger(__name__)

#: Maximum number of seconds counted for an absence of the agent.
LONGEST_ABSENCE = 86400.0


@dataclass
class IdleClock:
    """Counts for how long each pipeline has been idle.

    Attributes:
        path: File with the counts; if it is missing or damaged, counting starts again.
    """

    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self._now, self._wall, self._since = _read(self.path)
        self._steady: float | None = None

    def count(self, marks: Mapping[str, float | None]) -> dict[str, float]:
        """Return ``{pipeline id: seconds without activity}`` and save the counts.

        Args:
            marks: For each pipeline a value that changes with its activity; None while it is
                active.
        """
        self._now += self._elapsed()
        since = {}
        for pipeline_id, mark in marks.items():
            before = self._since.get(pipeline_id)
            same = before is not None and before[0] == mark and mark is not None
            since[pipeline_id] = before if before is not None and same else (mark, self._now)
        self._since = since
        self._write()
        return {pipeline_id: self._now - start for pipeline_id, (_, start) in since.items()}

    def _elapsed(self) -> float:
        wall, steady = self.clock.wall(), self.clock.steady()
        passed = LONGEST_ABSENCE if self._steady is None else steady - self._steady
        passed = 0.0 if self._wall is None else min(wall - self._wall, passed)
        self._wall, self._steady = wall, steady
        return max(0.0, passed)

    def _write(self) -> None:
        document = {"now": self._now, "wall": self._wall, "pipelines": self._since}
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            partial.write_text(json.dumps(document))
            partial.replace(self.path)
        except OSError as error:  # disk full: unsaved time is counted later
            logger.warning("cannot save idle times", extra={"why": str(error)})


_Since = dict[str, tuple[float | None, float]]


def _read(path: Path) -> tuple[float, float | None, _Since]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        since = {
            str(pipeline_id): (None if mark is None else float(mark), float(start))
            for pipeline_id, (mark, start) in found["pipelines"].items()
        }
        wall = found["wall"]
        return float(found["now"]), None if wall is None else float(wall), since
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0.0, None, {}
