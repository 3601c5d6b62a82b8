"""Where builds say how far they are, for one listener or several."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from conducto_core.model.records import ImageState
from conducto_local.ports import BuildLog, BuildPart, ImageError

#: Lines of a failed build that its message ends with.
TAIL = 15
#: Lines kept for a listener that comes late.
_KEPT = 2000


@dataclass(slots=True)
class BuildLogWriter:
    """The log of a piece of work that several definitions may wait for.

    Whoever joins late hears what was said before.
    """

    _listeners: list[BuildLog] = field(default_factory=list)
    _said: deque[ImageState | BuildPart | str] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def join(self, log: BuildLog) -> None:
        """Tell ``log`` all that was said, and what will be."""
        for item in self._said:
            _tell(log, item)
        self._listeners.append(log)

    def leave(self, log: BuildLog) -> None:
        """Tell ``log`` no more."""
        self._listeners.remove(log)

    def step(self, state: ImageState) -> None:
        """The build has reached ``state``."""
        self._say(state)

    def part(self, part: BuildPart) -> None:
        """A step inside that state has begun or ended."""
        self._say(part)

    def write(self, text: str) -> None:
        """Lines that the build printed."""
        self._say(text)

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines that have no line end yet."""
        for line in lines:
            self._say(line + "\n")

    def failure(self, what: str) -> ImageError:
        """Return the error that says ``what`` and ends with the last lines."""
        # A state is a string as well.
        others = (ImageState, BuildPart)
        texts = [item for item in self._said if not isinstance(item, others) and item.strip()]
        tail = "".join(texts[-TAIL:]).rstrip("\n")
        return ImageError(f"{what}\n{tail}" if tail else what)

    def _say(self, item: ImageState | BuildPart | str) -> None:
        self._said.append(item)
        for listener in self._listeners:
            _tell(listener, item)


def _tell(log: BuildLog, item: ImageState | BuildPart | str) -> None:
    if isinstance(item, ImageState):
        log.step(item)
    elif isinstance(item, BuildPart):
        log.part(item)
    else:
        log.write(item)
