"""A page's terminal: nothing is lost, nobody waits for a page, nothing grows without an end."""

import asyncio

import pytest
from tests.fakes.debug_shell import FakeShell

from conducto_core.debug.terminal import MAX_SHELL_AHEAD, MAX_SHELL_TYPED
from conducto_local.debug.page import PageScreen, TypedTooMuchError


@pytest.fixture
def shell() -> FakeShell:
    return FakeShell(echoes=False)


@pytest.fixture
async def screen(shell: FakeShell) -> PageScreen:
    made = PageScreen(24, 80)
    shell.screen = made
    return made


async def test_typing_before_the_shell_starts_is_kept(screen: PageScreen, shell: FakeShell) -> None:
    screen.type(b"ls")
    screen.type(b"\r")

    screen.read(shell)
    screen.type(b"pwd\r")

    assert shell.typing == b"ls\rpwd\r"


async def test_an_empty_frame_is_not_the_end_of_the_input(
    screen: PageScreen, shell: FakeShell
) -> None:
    typed: list[bytes] = []

    class Line(FakeShell):
        def typed(self, data: bytes) -> None:
            typed.append(data)

    screen.read(Line())
    screen.type(b"")
    screen.type(b"x")

    assert typed == [b"x"]


async def test_shell_waits_for_a_slow_page_and_continues_when_it_has_read(
    screen: PageScreen, shell: FakeShell
) -> None:
    screen.read(shell)
    shell.prints(bytes(MAX_SHELL_AHEAD))
    at_the_limit = shell.waits
    shell.prints(b"x")
    above = shell.waits

    screen.taken(MAX_SHELL_AHEAD // 4)
    still = shell.waits
    screen.taken(MAX_SHELL_AHEAD)

    assert (at_the_limit, above, still, shell.waits) == (False, True, True, False)


async def test_a_page_cannot_have_read_more_than_was_printed(
    screen: PageScreen, shell: FakeShell
) -> None:
    screen.read(shell)
    screen.taken(2**60)

    shell.prints(bytes(MAX_SHELL_AHEAD + 1))

    assert shell.waits


async def test_output_before_the_shell_can_wait_counts_too(
    screen: PageScreen, shell: FakeShell
) -> None:
    screen.write("stdout", bytes(MAX_SHELL_AHEAD + 1))

    screen.read(shell)

    assert shell.waits


@pytest.mark.parametrize("there", [True, False])
async def test_unread_typing_is_limited(screen: PageScreen, shell: FakeShell, there: bool) -> None:
    if there:
        screen.read(shell)
        shell.unsent = MAX_SHELL_TYPED
    else:
        screen.type(bytes(MAX_SHELL_TYPED))

    with pytest.raises(TypedTooMuchError):
        screen.type(b"x")


async def test_small_chunks_are_joined_and_large_ones_are_passed_on(screen: PageScreen) -> None:
    for chunk in (b"a", b"b", bytes(100_000), b"c"):
        screen.write("stdout", chunk)

    frames = [await screen.printed() for _ in range(3)]

    assert frames == [b"ab", bytes(100_000), b"c"]


async def test_all_that_was_printed_is_returned_before_the_end(screen: PageScreen) -> None:
    screen.write("stdout", b"last words")
    screen.finish()

    assert [await screen.printed(), await screen.printed()] == [b"last words", b""]


async def test_waiting_reader_is_notified_of_the_end(screen: PageScreen) -> None:
    waiting = asyncio.create_task(screen.printed())
    await asyncio.sleep(0)

    screen.finish()

    assert await waiting == b""
