r"""A debug shell without a container: a test controls its output and its end.

`FakeShell` replaces `conducto_local.debug.session.hold_shell`.

>>> import asyncio
>>> from conducto_local.debug.page import PageScreen
>>> async def example() -> int:
...     shell, screen = FakeShell(), PageScreen(lines=24, columns=80)
...     screen.type(b"exit 3\r")
...     return await shell("a plan", screen, term="dumb")
>>> asyncio.run(example())
3
"""

import asyncio
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conducto_local.debug.terminal import Screen

_EXIT = re.compile(rb"exit (\d+)\r")


class FakeShell:
    """Opens one shell at a time; each echoes its input, and ends with ``exit N``.

    Attributes:
        plans: The plan of each shell that was opened.
        sizes: ``(lines, columns)`` of the terminal, in order.
        open: Number of open shells.
        waits: Whether the shell was asked to pause its output.
        unsent: Bytes of input that the shell has not read.
        screen: The screen of the latest shell.
        echoes: Whether the shell echoes its input.
    """

    def __init__(self, *, echoes: bool = True) -> None:
        self.plans: list[Any] = []
        self.sizes: list[tuple[int, int]] = []
        self.open = 0
        self.waits = False
        self.unsent = 0
        self.echoes = echoes
        self.typing = b""
        self.screen: Screen | None = None
        self._code: asyncio.Future[int] | None = None

    async def __call__(self, plan: Any, screen: "Screen", *, term: str) -> int:
        """Run a shell until the input ``exit N`` or a call of `end`; return its exit code."""
        code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._code = code
        self.plans.append(plan)
        self.sizes.append(screen.size)
        self.screen, self.typing = screen, b""
        self.open += 1
        try:
            with screen.raw(), screen.resizes(lambda: self.sizes.append(screen.size)):
                screen.read(self)
                return await code
        finally:
            self.open -= 1

    def end(self, how: int | Exception) -> None:
        """End the latest shell, with an exit code or by losing it."""
        if self._code is None or self._code.done():
            return
        if isinstance(how, Exception):
            self._code.set_exception(how)
        else:
            self._code.set_result(how)

    def prints(self, data: bytes) -> None:
        """Print text in the latest shell."""
        if self.screen is not None:
            self.screen.write("stdout", data)

    # ---- the line from the screen -------------------------------------------------------------

    def typed(self, data: bytes) -> None:
        self.typing += data
        if self.echoes:
            self.prints(data)
        found = _EXIT.search(self.typing)
        if found is not None:
            self.end(int(found[1]))

    def pause(self) -> None:
        """Pause the output; a test checks ``waits``."""
        self.waits = True

    def resume(self) -> None:
        self.waits = False
