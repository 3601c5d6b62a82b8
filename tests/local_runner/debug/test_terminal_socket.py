"""Frames on a shell's WebSocket, and each way in which it ends."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.debug_shell import FakeShell

from conducto_core.debug.terminal import MAX_SHELL_FRAME, ShellEnd
from conducto_core.run.model.labels import duration
from conducto_local.debug.page import PageScreen, ShellLimits, TerminalSocket
from conducto_local.debug.terminal import DebugError
from conducto_local.engine.port import EngineError
from support.debug_plans import plan

LIMITS = ShellLimits()
SHORT = 0.05


class Page:
    """The client of a terminal socket.

    Attributes:
        closed: Number of reports that the container was removed.
    """

    def __init__(self, limits: ShellLimits = LIMITS, *, echoes: bool = True) -> None:
        self.shell = FakeShell(echoes=echoes)
        self.closed = 0
        screen = PageScreen(24, 80)
        self.talk = TerminalSocket(plan(), screen, limits, self.shell, self._on_closed)

    def _on_closed(self) -> None:
        self.closed += 1

    async def frames(self) -> list[Any]:
        """Return all that comes until the end."""
        async with asyncio.timeout(10):
            return [frame async for frame in self.talk]


async def test_bytes_go_both_ways_and_the_exit_code_is_the_last_word() -> None:
    page = Page()
    page.talk.receive(b"echo hi\r")
    page.talk.receive(b"exit 7\r")

    *printed, end = await page.frames()

    assert b"".join(printed) == b"echo hi\rexit 7\r"
    assert end == ShellEnd(code=7)


async def test_shell_opens_only_with_a_listener() -> None:
    page = Page()

    await page.talk.aclose()

    assert page.shell.plans == []
    assert page.closed == 1


async def test_a_new_size_reaches_the_shell() -> None:
    page = Page()
    reading = asyncio.create_task(page.frames())
    page.talk.receive(b"x")
    await asyncio.sleep(0)

    page.talk.receive(json.dumps({"lines": 50, "columns": 132}))
    page.talk.receive(b"exit 0\r")
    await reading

    assert page.shell.sizes[-1] == (50, 132)


async def test_acknowledged_output_lets_the_shell_continue() -> None:
    page = Page(echoes=False)
    reading = asyncio.create_task(page.frames())
    await asyncio.sleep(0.01)
    page.shell.prints(bytes(300_000))
    waited = page.shell.waits

    page.talk.receive('{"taken": 300000}')

    assert (waited, page.shell.waits) == (True, False)
    page.shell.end(0)
    await reading


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        '{"lines": 0, "columns": 80}',
        '{"lines": 24, "columns": 1e9}',
        '{"taken": -1}',
        '{"unknown": 1}',
        b"x" * (MAX_SHELL_FRAME + 1),
        " " * (MAX_SHELL_FRAME + 1),
    ],
)
async def test_nonsense_is_refused(message: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"ShellNote|a frame may have"):
        Page().talk.receive(message)


@pytest.mark.parametrize("error", [DebugError, EngineError, OSError])
async def test_a_shell_that_does_not_open_or_is_lost_says_why(error: type[Exception]) -> None:
    page = Page()
    reading = asyncio.create_task(page.frames())
    await asyncio.sleep(0.01)

    page.shell.end(error("/build: the shell's container was removed from outside"))

    assert await reading == [
        ShellEnd(reason="/build: the shell's container was removed from outside")
    ]


async def test_internal_error_is_not_reported_as_an_end() -> None:
    page = Page()
    reading = asyncio.create_task(page.frames())
    await asyncio.sleep(0.01)

    page.shell.end(KeyError("bug"))

    with pytest.raises(KeyError):
        await reading


async def test_a_shell_in_which_nothing_happens_ends() -> None:
    page = Page(replace(LIMITS, idle=SHORT))

    assert await page.frames() == [ShellEnd(reason=f"no input or output for {duration(SHORT)}")]
    assert page.shell.open == 0


async def test_a_shell_in_which_something_happens_stays_until_its_time_is_over() -> None:
    page = Page(replace(LIMITS, idle=SHORT * 4, seconds=SHORT * 10), echoes=False)
    reading = asyncio.create_task(page.frames())

    async def work() -> None:
        while not reading.done():
            await asyncio.sleep(SHORT / 2)
            page.shell.prints(b".")

    working = asyncio.create_task(work())

    *printed, end = await reading

    await working
    assert end == ShellEnd(reason="the time limit of 0.5s was reached")
    assert len(b"".join(printed)) > 1


async def test_excessive_typing_ends_the_shell_with_a_message() -> None:
    page = Page(echoes=False)
    reading = asyncio.create_task(page.frames())
    await asyncio.sleep(0.01)
    page.shell.unsent = 1 << 20

    page.talk.receive(b"x")

    assert await reading == [ShellEnd(reason="more than 1 MiB of input were not read by the shell")]
    assert page.shell.open == 0


async def test_a_page_that_leaves_ends_the_shell_once() -> None:
    page = Page()
    reading = asyncio.create_task(page.frames())
    await asyncio.sleep(0.01)
    opened = page.shell.open

    reading.cancel()
    await page.talk.aclose()
    await page.talk.aclose()

    assert (opened, page.shell.open, page.closed) == (1, 0, 1)
