"""The local runner in the test's own process, on real engines."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.params import LogParams, NodeParams, PipelineParams, TreeParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import (
    Action,
    Changes,
    ControlRequest,
    ControlResult,
    LaunchRequest,
    NodeView,
    PipelineSummary,
)
from conducto_local.agent.runner import open_runner
from conducto_local.agent.state_dir import StateDir
from conducto_local.run.containers import IDLE_SECONDS
from conducto_local.run.handlers import LocalPipelines

TIMEOUT = 60.0


class Run:
    """One launched pipeline."""

    def __init__(self, local: Local, launched: PipelineSummary) -> None:
        self.local = local
        self.id = launched.pipeline.id

    async def summary(self) -> PipelineSummary:
        return await self.local.pipelines.get_pipeline(PipelineParams(id=self.id))

    async def settled(self, seconds: float = TIMEOUT) -> PipelineSummary:
        """Wait for events until nothing runs or will start by itself."""
        async with asyncio.timeout(seconds):
            async for batch in self.local.pipelines.changes(self.id, 0):
                if batch.pipeline.settled:
                    return batch.pipeline
        raise AssertionError("the events ended")

    async def until(self, path: str, state: str, seconds: float = TIMEOUT) -> None:
        """Wait until a node reaches a state."""
        async with asyncio.timeout(seconds):
            async for _ in self.local.pipelines.changes(self.id, 0):
                if (await self.node(path)).state == state:
                    return

    async def printed(self, path: str, text: bytes, seconds: float = 20.0) -> None:
        """Wait until a node's output contains ``text``."""

        async def there() -> bool:
            return bool(await self.attempts(path)) and text in await self.output(path)

        await eventually(there, seconds)

    async def nodes(self) -> dict[str, NodeView]:
        found: dict[str, NodeView] = {}
        after = None
        while True:
            query = TreeParams(id=self.id, after=after)
            page = await self.local.pipelines.get_tree(query)
            found.update({node.path: node for node in page.nodes})
            after = page.next
            if after is None:
                return found

    async def node(self, path: str) -> NodeView:
        page = await self.local.pipelines.get_tree(TreeParams(id=self.id, root=path, limit=1))
        return page.nodes[0]

    async def states(self) -> dict[str, str]:
        return {path: str(node.state) for path, node in (await self.nodes()).items()}

    async def attempts(self, path: str) -> list[AttemptRecord]:
        return list(
            (await self.local.pipelines.list_attempts(NodeParams(id=self.id, path=path))).attempts
        )

    async def output(self, path: str, stream: str = "stdout", attempt: int | None = None) -> bytes:
        data = b""
        while True:
            asked = {"id": self.id, "path": path, "attempt": attempt, "stream": stream}
            query = LogParams.model_validate({**asked, "offset": len(data)})
            chunk = await self.local.pipelines.read_log(query)
            data += base64.b64decode(chunk.data)
            if len(data) >= chunk.size:
                return data

    async def control(self, action: Action, *paths: str) -> None:
        await self.local.pipelines.control(
            PipelineParams(id=self.id), ControlRequest(action=action, paths=paths)
        )

    @property
    def data(self) -> Path:
        return self.local.home.pipeline(self.id).data


class Local:
    """A runner; pipelines are launched on ``engine``."""

    def __init__(self, pipelines: LocalPipelines, home: StateDir, engine: str) -> None:
        self.pipelines = pipelines
        self.home = home
        self.engine = engine

    async def launch(self, root: Any, *, run: bool = True, **options: Any) -> Run:
        form = root if isinstance(root, dict) else to_launch_form(root)
        request = LaunchRequest(tree=form, run=run, engine=self.engine, **options)
        return Run(self, await self.pipelines.launch(request))

    async def run(self, root: Any, **options: Any) -> Run:
        launched = await self.launch(root, **options)
        await launched.settled()
        return launched


@asynccontextmanager
async def local_runner(
    base: Path,
    engine: str = "docker",
    *,
    idle_seconds: float = IDLE_SECONDS,
    profile: str = "test",
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Local]:
    home = StateDir(base, profile)
    async with open_runner(home, idle_seconds=idle_seconds, env=env) as pipelines:
        yield Local(pipelines, home, engine)


async def act(
    run: Run, action: str, *paths: str, preview: bool = False, failed: bool = False, **changes: Any
) -> ControlResult:
    """Request an action like a client; ``changes`` are those of a modification."""
    request = ControlRequest(
        action=Action(action),
        paths=paths,
        failed=failed,
        changes=Changes.model_validate(changes) if changes else None,
        preview=preview,
    )
    return await run.local.pipelines.control(PipelineParams(id=run.id), request)


async def eventually(
    condition: Callable[[], Awaitable[object]], seconds: float = 20.0, every: float = 0.05
) -> None:
    """Poll a condition that has no event."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(every)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0, every: float = 0.02) -> None:
    """Poll a condition outside of our processes, such as the engine's list of containers."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every)
