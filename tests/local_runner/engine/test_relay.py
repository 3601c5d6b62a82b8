"""The relay of a plain process: its end, whatever it has not delivered."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from conducto.wire.launching import CALLS
from conducto_local.engine.relay import ProcessRelay, start_on_machine
from support.local import eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_relay_with_unread_requests_closes_at_once(tmp_path: Path) -> None:
    directory = tmp_path / "launch-1"
    relay = await start_on_machine(directory)
    assert isinstance(relay, ProcessRelay)

    def write() -> None:  # more than the pipes and the reader's buffer hold
        with contextlib.suppress(BrokenPipeError), (directory / CALLS).open("wb") as pipe:
            pipe.write(bytes(1 << 20))

    writing = asyncio.create_task(asyncio.to_thread(write))

    async def paused() -> bool:
        return bool(relay._process.stdout._paused)  # type: ignore[union-attr]

    await eventually(paused)

    async with asyncio.timeout(20):  # it waits 30 seconds for a relay that does not end
        await relay.close()
        await writing


async def test_relay_whose_start_is_cancelled_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, pid = tmp_path / "mkdir", tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $PPID >{pid}\nexec cat\n")  # until stdin is closed
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    starting = asyncio.create_task(start_on_machine(tmp_path / "launch-1"))

    async def started() -> bool:
        return pid.exists() and pid.read_text().endswith("\n")

    await eventually(started)
    process = int(pid.read_text())

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
