r"""A debug shell without a container: a test controls its output and its end.

`FakeShell` replaces `conducto_local.debug.session.hold_shell`.

>>> import asyncio
>>> from conducto_local.shells.screen import PageScreen
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
    from conducto_local.debug.screen import Screen

_EXIT = re.compile(rb"exit (\d+)\r")


class FakeShell:
    """Opens one shell at a time; each echoes its input, and ends by ``exit N``.

    Attributes:
        plans: Those of every shell that was opened.
        sizes: ``(lines, columns)`` that the terminal has had.
        open: Shells that are open.
        waits: The shell was asked to pause its output.
        unsent: Bytes that it is behind with reading.
        screen: That of the newest shell.
        echoes: It prints its input.
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
        """Be a shell until somebody types ``exit N``, or `end` is called; return its code."""
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
        """End the newest shell, with an exit code or as one that is lost."""
        if self._code is None or self._code.done():
            return
        if isinstance(how, Exception):
            self._code.set_exception(how)
        else:
            self._code.set_result(how)

    def prints(self, data: bytes) -> None:
        """Let the newest shell print something."""
        if self.screen is not None:
            self.screen.write("stdout", data)

    # ---- the line from the screen -------------------------------------------------------------

    def typed(self, data: bytes) -> None:
        """Receive input."""
        self.typing += data
        if self.echoes:
            self.prints(data)
        found = _EXIT.search(self.typing)
        if found is not None:
            self.end(int(found[1]))

    def pause(self) -> None:
        """Wait with printing; a test looks at ``waits``."""
        self.waits = True

    def resume(self) -> None:
        """Continue."""
        self.waits = False
