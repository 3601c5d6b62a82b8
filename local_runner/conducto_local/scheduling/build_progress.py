"""The steps of an image build, stored beside the output of the build.

They are lines of JSON in the log's other stream, so that they are limited, kept and deleted like
the log. Each line is the current status of a step; the newest line of a key counts.
"""

import json
import time
from collections.abc import Callable

from conducto_core.images.build_steps import MAX_STEPS
from conducto_core.model.records import ImageState
from conducto_core.model.responses import ImageStep
from conducto_local.ports import BuildPart

#: Marks the beginning of a build; a log has one build after the other.
_BEGIN = b"{}\n"


class BuildProgressWriter:
    """Writes the steps of one build."""

    def __init__(
        self, write: Callable[[bytes], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._clock = clock
        self._number = 0
        self._state: ImageStep | None = None
        self._open: dict[str, ImageStep] = {}
        write(_BEGIN)

    def state(self, state: ImageState) -> None:
        """Record that the build has reached a state, which ends the previous one."""
        self.end()
        if state in (ImageState.DONE, ImageState.ERROR):
            return
        self._number += 1
        self._state = ImageStep(name=state.value, started=self._clock())
        self._put(str(self._number), self._state)

    def part(self, part: BuildPart) -> None:
        """Record that a step inside the state has started or ended."""
        step = ImageStep(
            name=part.name,
            within=None if self._state is None else self._state.name,
            started=part.started,
            ended=part.ended,
            cached=part.cached,
            error=part.error,
        )
        key = f"{self._number} {part.key}"
        self._put(key, step)
        if step.ended is None and not step.cached:
            self._open[key] = step
        else:
            self._open.pop(key, None)

    def end(self, error: str | None = None) -> None:
        """Record the end of all steps; with ``error``, the running ones failed."""
        now = self._clock()
        for key, step in self._open.items():
            self._put(key, step.model_copy(update={"ended": now, "error": error}))
        self._open.clear()
        if self._state is not None:
            self._put(
                str(self._number), self._state.model_copy(update={"ended": now, "error": error})
            )
            self._state = None

    def _put(self, key: str, step: ImageStep) -> None:
        line = {"key": key, **step.model_dump(exclude_defaults=True)}
        self._write(json.dumps(line).encode() + b"\n")


def steps_in(log: bytes) -> tuple[ImageStep, ...]:
    """Return the steps of the last build in a log, in the order of their starts."""
    found: dict[str, ImageStep] = {}
    for line in log.rpartition(_BEGIN)[2].splitlines():
        try:
            key, step = _read(line)
        except (ValueError, KeyError, TypeError):
            continue  # an incomplete line: the agent was killed while writing it
        if key in found or len(found) < MAX_STEPS:
            found[key] = step
    return tuple(found.values())


def _read(line: bytes) -> tuple[str, ImageStep]:
    fields = json.loads(line)
    return fields["key"], ImageStep(**{name: fields[name] for name in fields if name != "key"})
