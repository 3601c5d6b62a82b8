"""An agent with a cache over a fake engine, whose images are known before they are built."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.images.model import ImageSpec
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.records import AttemptRecord, ImageState
from conducto_core.run.model.requests import LaunchRequest
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.factory import NullImageBuilder
from conducto_local.engine.port import BuildLog, BuiltImage, UnbuiltImage
from conducto_local.notifications.outbox import Channels, Outbox
from conducto_local.run.containers import Containers
from conducto_local.run.context import EngineContext
from conducto_local.run.handlers import LocalPipelines
from conducto_local.run.scheduler import Scheduler
from conducto_local.secrets.injection import SecretProvider
from conducto_local.store.sqlite import SqliteStore


@dataclass
class Machine:
    """The parts that outlast an agent.

    Attributes:
        code: Identity of the files that the image copies.
        builds: Number of image builds.
    """

    engine: FakeEngine
    secrets: MemorySecrets
    code: str = "v1"
    base: str = "debian 12"
    builds: int = 0

    def content(self) -> UnbuiltImage:
        return UnbuiltImage(workdir="/", path_map={}, base=self.base, code=self.code)


class Images(NullImageBuilder):
    """Images whose content is known before they are built."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def for_launch(self) -> "Images":
        return self

    async def lookup(self, _spec: ImageSpec) -> UnbuiltImage:
        return self._machine.content()

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        self._machine.builds += 1
        log.step(ImageState.DONE)
        known = self._machine.content()
        return BuiltImage(spec.name, "/bin/sh", "/", {}, known.base, known.code)


class Agent:
    """A runner over a store on disk."""

    def __init__(self, home: StateDir, machine: Machine) -> None:
        self.home = home
        self.store = SqliteStore.open(home.store)
        context = EngineContext(machine.engine, {"a": "b"}, lambda: Images(machine))
        contexts = {"docker": context, "process": context}
        secrets = SecretProvider(machine.secrets)
        self.scheduler = Scheduler(
            home=home,
            store=self.store,
            engine_contexts=contexts,
            containers=Containers(),
            secrets=secrets,
            notifier=lambda saved: Outbox(self.store, saved, secrets, Channels()),
            cache=self.store.cache,
        )
        self.pipelines = LocalPipelines(
            home=home, store=self.store, engine_contexts=contexts, scheduler=self.scheduler
        )
        self.pipelines.cache = self.store.cache

    async def launch(self, root: co.Node, **options: Any) -> str:
        return await self.launch_form(to_launch_form(root), **options)

    async def launch_form(self, form: dict[str, Any], **options: Any) -> str:
        request = LaunchRequest(tree=form, run=True, **options)
        pipeline = (await self.pipelines.launch(request)).pipeline.id
        await self.settle(pipeline)
        return pipeline

    async def settle(self, pipeline: str) -> None:
        async for batch in self.pipelines.changes(pipeline, 0):
            if batch.pipeline.settled:
                break

    async def attempts(self, pipeline: str, path: str) -> tuple[AttemptRecord, ...]:
        page = await self.pipelines.get_tree(TreeParams(id=pipeline, root=path, attempts="all"))
        return page.nodes[0].attempts

    async def attempt(self, pipeline: str, path: str) -> AttemptRecord:
        return (await self.attempts(pipeline, path))[-1]

    async def close(self) -> None:
        await self.scheduler.close()
        self.store.close()


@asynccontextmanager
async def agent_at(home: Path, machine: Machine) -> AsyncIterator[Agent]:
    directory = StateDir(home, "test")
    directory.make()
    agent = Agent(directory, machine)
    try:
        yield agent
    finally:
        await agent.close()


def script(commands: dict[str, Outcome]) -> Callable[[object, object], Outcome]:
    return lambda _spec, job: commands.get(getattr(job, "script", ""), Outcome())
