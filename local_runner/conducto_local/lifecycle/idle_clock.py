"""How long pipelines have idled, told by no clock alone.

The time of day may jump: a battery is empty, a virtual machine wakes, somebody sets it by hand.
Nothing may be deleted early for that. So the agent counts time itself: while it runs, as the
slower of the time of day and a clock that nobody sets; while no agent ran, as the time of day says,
but a day at most for each absence. What was counted is kept in a file, with when each pipeline was
last seen active. Late is right, early is not.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conducto_local.scheduling.clock import Clock

logger = logging.getLogger(__name__)

#: Seconds that an absence of the agent counts at most.
LONGEST_ABSENCE = 86400.0


@dataclass
class IdleClock:
    """Counts for how long each pipeline has idled.

    Attributes:
        path: Where it is kept; a file that is missing or broken begins anew.
    """

    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self._now, self._wall, self._since = _read(self.path)
        self._steady: float | None = None

    def count(self, marks: Mapping[str, float | None]) -> dict[str, float]:
        """Return ``{pipeline id: seconds without activity}`` as of now, and keep it.

        Args:
            marks: What changes whenever a pipeline is active; None while it is.
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
        except OSError as error:  # a full disk: what is not kept counts later
            logger.warning("idle times are not kept", extra={"why": str(error)})


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
