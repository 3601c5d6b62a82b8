"""What a debug shell needs of whoever shows it: a terminal, or a page."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from conducto_local.ports import Stream


class Line(Protocol):
    """The way to a shell. Everything is called in the event loop."""

    @property
    def unsent(self) -> int:
        """Bytes that were typed and that the shell has not taken yet."""

    def typed(self, data: bytes) -> None:
        """Pass on what was typed; b"" is its end."""

    def pause(self) -> None:
        """Let the shell wait with what it prints."""

    def resume(self) -> None:
        """Let it go on."""


class Screen(Protocol):
    """Where a person types and reads.

    Attributes:
        is_terminal: A person sits there; else these are pipes or files.
    """

    is_terminal: bool

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""

    def write(self, stream: Stream, data: bytes) -> None:
        """Show what came.

        Raises:
            OSError: nobody reads it any more.
        """

    def raw(self) -> AbstractContextManager[None]:
        """Pass every key on as it is while the block runs."""

    def resizes(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``changed`` whenever the size is another while the block runs."""

    def read(self, line: Line) -> None:
        """Begin to pass on what is typed."""
