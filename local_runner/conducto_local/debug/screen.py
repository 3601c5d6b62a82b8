"""The ports between a debug shell and its terminal or page."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from conducto_local.ports import Stream


class Line(Protocol):
    """The input of a shell. All methods are called in the event loop."""

    @property
    def unsent(self) -> int:
        """Number of typed bytes that the shell has not read yet."""

    def typed(self, data: bytes) -> None:
        """Send input; b"" is its end."""

    def pause(self) -> None:
        """Pause the output of the shell."""

    def resume(self) -> None:
        """Resume the output of the shell."""


class Screen(Protocol):
    """A terminal or page, where the user types and reads.

    Attributes:
        is_terminal: Whether it is interactive; pipes and files are not.
    """

    is_terminal: bool

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""

    def write(self, stream: Stream, data: bytes) -> None:
        """Show output."""

    def raw(self) -> AbstractContextManager[None]:
        """Pass on every key unprocessed while the block runs."""

    def resizes(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``changed`` whenever the size changes while the block runs."""

    def read(self, line: Line) -> None:
        """Start passing on input."""
