"""A linked agent over pipelines in memory, and a cloud for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fakes.debug_shell import FakeShell
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.relay_cloud import RelayCloud

from conducto_core.api.dispatch import Service
from conducto_core.remote.model import LinkPolicy
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_local.agent.agent import LOCAL_RULES
from conducto_local.agent.files import AgentState
from conducto_local.debug.page import PageShells
from conducto_local.remote.link import Link, LinkTiming
from conducto_local.remote.policy import LinkSettings, write_settings
from conducto_local.remote.summaries import LinkFiles
from conducto_local.server.agent_operations import LOCAL_OPERATIONS, local_servers
from conducto_local.server.auth import Sessions

QUICK = LinkTiming(
    tick=0.01, look=0.02, ack=5.0, grace=0.05, first_backoff=0.01, longest_backoff=0.05
)


@dataclass
class LinkedAgent:
    """An agent whose link can be started and stopped."""

    profile: str
    directory: Path
    pipelines: MemoryPipelines = field(default_factory=MemoryPipelines)
    shell: FakeShell = field(default_factory=FakeShell)

    RUNNING = State.RUNNING

    @staticmethod
    def timing(**changes: float) -> LinkTiming:
        """Return the quick timing with changes."""
        return replace(QUICK, **changes)

    @property
    def files(self) -> LinkFiles:
        return LinkFiles(self.directory)

    def configure(self, cloud: RelayCloud, policy: LinkPolicy | None = None, **more: str) -> None:
        """Write the section ``[link]``."""
        values = {
            "agent": "abcd2345",
            "url": cloud.url.replace("ws:", "http:"),
            "socket": cloud.url,
            "org": "acme",
            "user": "ada",
            "token": cloud.token,
            **more,
        }
        write_settings(
            self.profile,
            LinkSettings(**values, policy=LinkPolicy() if policy is None else policy),
        )

    def service(self) -> Service:
        """Return the agent's API."""
        shells = PageShells(self.pipelines, hold=self.shell)
        state = AgentState(1, "http://127.0.0.1:1", "1.2.3", 5.0)
        servers = local_servers(self.pipelines, state, _never, Sessions("t", 1), shells)
        return Service(*servers, operations=LOCAL_OPERATIONS, rules=LOCAL_RULES)

    @contextlib.asynccontextmanager
    async def linked(self, timing: LinkTiming = QUICK) -> AsyncIterator[Link]:
        """Run the link while the block runs."""
        link = Link(self.profile, self.service(), self.pipelines, self.files, timing)
        task = asyncio.create_task(link.run())
        try:
            yield link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _never() -> None:
    raise AssertionError("the cloud stopped the agent")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LinkedAgent:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    made = LinkedAgent("default", tmp_path / "default" / "agent")
    made.pipelines.add("p1", [NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)])
    return made


@pytest.fixture
async def cloud() -> AsyncIterator[RelayCloud]:
    async with RelayCloud() as made:
        yield made
