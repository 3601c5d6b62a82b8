"""``conducto cache verify`` over an agent whose containers are fakes."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets
from tests.fakes.transport import InProcessTransport

import conducto as co
from conducto.errors import UsageError
from conducto_cli.cache import verify_command
from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_local.cache.store import CachedOutcome
from support.cached_agent import Machine, agent_at

if TYPE_CHECKING:
    from pathlib import Path

    from support.cached_agent import Agent


class SameLoop(InProcessTransport):
    """A transport whose service runs in the loop of an agent."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service, self._loop = service, loop
        self._stopped, self._lock = False, threading.RLock()

    def stop(self) -> None:
        """Leave the loop to the agent."""


async def verify(agent: Agent, *words: str) -> int:
    transport = SameLoop(Service(agent.pipelines), asyncio.get_running_loop())
    parser = argparse.ArgumentParser()
    verify_command.add_arguments(parser)  # type: ignore[arg-type]
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    return await asyncio.to_thread(verify_command.run, arguments, lambda: Client(transport))


def tree() -> co.Serial:
    root = co.Serial(image="x", cache=True, title="t")
    for name in ("same", "random", "other"):
        root[name] = co.Exec(name)
    return root


def outcomes() -> Any:
    numbers = iter(range(100))

    def outcome(_spec: object, job: Any) -> Outcome:
        value = next(numbers) if job.script == "random" else 1
        return Outcome(files={"result": json.dumps(value).encode()})

    return outcome


async def test_a_sample_names_and_deletes_entries_that_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(FakeEngine(), MemorySecrets())
    machine.engine.outcomes = outcomes()
    async with agent_at(tmp_path, machine) as agent:
        pipeline = await agent.launch(tree())
        assert await verify(agent, "--sample", "100%") == 1
        *lines, summary = capsys.readouterr().out.splitlines()
        assert summary == "3 commands ran again, 1 not reproducible"
        (differs,) = (line for line in lines if "not reproducible" in line)
        assert differs.startswith("/random attempt 2 is not reproducible: result differ from ")
        kept = {each.source.path for each in agent.store.cache.list_used("", -1)}
        assert kept == {"/same", "/other"}

        assert await verify(agent, "--sample", "34%", "--json", pipeline) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1
        assert await verify(agent, pipeline, "/same") == 0
        assert "has the same result and files as" in capsys.readouterr().out
        last = await agent.launch(tree())
        assert (await agent.attempt(last, "/random")).from_cache is None


async def test_an_entry_of_a_deleted_pipeline_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(FakeEngine(), MemorySecrets())
    async with agent_at(tmp_path, machine) as agent:
        await agent.launch(tree())
        for entry in agent.store.cache.list_used("", -1):
            if entry.source.path == "/other":
                gone = entry.source.model_copy(update={"pipeline": "aaa-aaa"})
                moved = entry.model_copy(update={"source": gone})
                agent.store.cache.put([CachedOutcome(moved, b"")], [])
        assert await verify(agent, "--sample", "100") == 0
        out = capsys.readouterr().out
        assert "aaa-aaa /other attempt 1: was not run again: " in out
        assert "2 commands ran again, 0 not reproducible; 1 not compared" in out


@pytest.mark.parametrize("text", ["0", "0%", "101%", "x", "-1"])
def test_an_invalid_share_is_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="--sample is a percentage"):
        verify_command.share_of(text)
