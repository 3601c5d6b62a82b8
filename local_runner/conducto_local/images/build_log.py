"""The log of a build, for one or more listeners."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from conducto_core.model.records import ImageState
from conducto_local.ports import BuildLog, BuildPart, ImageError

#: Number of lines of a failed build at the end of its error message.
TAIL = 15
#: Number of items kept for listeners that join later.
_KEPT = 2000


@dataclass(slots=True)
class BuildLogWriter:
    """The log of work that several definitions may wait for.

    A listener that joins later receives the earlier items too.
    """

    _listeners: list[BuildLog] = field(default_factory=list)
    _said: deque[ImageState | BuildPart | str] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def join(self, log: BuildLog) -> None:
        """Send all past and future items to ``log``."""
        for item in self._said:
            _tell(log, item)
        self._listeners.append(log)

    def leave(self, log: BuildLog) -> None:
        """Stop sending items to ``log``."""
        self._listeners.remove(log)

    def step(self, state: ImageState) -> None:
        """Record that the build has reached ``state``."""
        self._say(state)

    def part(self, part: BuildPart) -> None:
        """Record that a step inside that state has started or ended."""
        self._say(part)

    def write(self, text: str) -> None:
        """Record lines of output of the build."""
        self._say(text)

    def lines(self, lines: Iterable[str]) -> None:
        """Record lines without line ends."""
        for line in lines:
            self._say(line + "\n")

    def failure(self, what: str) -> ImageError:
        """Return an error with a message that ends with the last lines."""
        # `ImageState` is a string as well.
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
