"""The same pipelines behind the API, scripted and really run, over a real socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.fakes.pipelines import MemoryPipelines

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_client import Client, Endpoint, HttpTransport
from conducto_core.api.dispatch import Service
from conducto_core.api.idempotency import IdempotentExecutor
from conducto_core.api.pipelines import Pipelines
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_local.agent.agent import LOCAL_RULES
from conducto_local.agent.files import AgentState
from conducto_local.assistants.containers import FailureContainers
from conducto_local.assistants.tokens import LocalTokens
from conducto_local.server.agent_operations import LOCAL_OPERATIONS, local_servers
from conducto_local.server.app import build_app
from conducto_local.server.auth import Sessions
from conducto_local.server.idempotency import remembered
from conducto_local.server.listener import LOOPBACK, bind, serve
from support.api_server import TOKEN
from support.local import local_runner

T = TypeVar("T")

OUTPUT = "".join(f"line {n} of ä\n" for n in range(10)) + "the end"
FAILURE = "bad\n"


def tree() -> co.Serial:
    """Return the tree of every scene: an Exec that prints, and a group with one failing Exec."""
    with co.Serial(image="debian", stop_on_error=False, env={"COLOUR": "red"}) as root:
        co.Exec(f"cat <<'END'\n{OUTPUT}\nEND", name="talk")
        with co.Parallel(name="group", cpu=0.5):
            co.Exec("echo bad; exit 3", name="bad")
            co.Exec("true", name="good")
            with co.Serial(name="deep"):
                co.Exec("true", name="leaf")
    return root


class Scene:
    """A running API, and pipelines behind it."""

    def __init__(self, endpoint: Endpoint, play: Callable[[str], Any], home: Path | None) -> None:
        self.client = Client(HttpTransport(endpoint))
        self.endpoint = endpoint
        self.home = home
        self._play = play

    async def ask(self, call: Callable[[Client], T]) -> T:
        """Execute a client's calls in a separate thread."""
        return await asyncio.to_thread(call, self.client)

    async def launched(self, **fields: Any) -> str:
        """Launch the tree; returns the pipeline's id."""
        request = LaunchRequest(tree=to_launch_form(tree()), engine="process", **fields)
        return (await self.ask(lambda client: client.launch(request))).pipeline.id

    async def played(self, **fields: Any) -> str:
        """Launch the tree and run it to its end."""
        pipeline = await self.launched(run=True, **fields)
        await self._play(pipeline)
        return pipeline


@asynccontextmanager
async def serving(pipelines: Pipelines, folder: Path) -> AsyncIterator[Endpoint]:
    """Serve ``pipelines`` in this event loop, with idempotent responses stored in ``folder``."""
    sock = bind()
    port = sock.getsockname()[1]
    state = AgentState(os.getpid(), f"http://{LOOPBACK}:{port}", "1.2.3", 5.0)
    sessions, stop, listening = Sessions(TOKEN, port), asyncio.Event(), asyncio.Event()
    tokens, containers = LocalTokens(), FailureContainers(pipelines)
    with remembered(folder / "answers.sqlite") as responses:
        service = Service(
            *local_servers(pipelines, state, stop.set, sessions, None, tokens, containers),
            operations=LOCAL_OPERATIONS,
            rules=LOCAL_RULES,
            once=IdempotentExecutor(responses),
        )
        app = build_app(
            service,
            token=TOKEN,
            port=port,
            sessions=sessions,
            web_root=folder / "web",
            assistants=tokens,
        )
        task = asyncio.create_task(serve(app, sock, stop, listening.set))
        await listening.wait()
        try:
            yield Endpoint(state.url, TOKEN)
        finally:
            stop.set()
            await task
            await containers.close()


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[Scene]:
    """Return a scene of the shipped fake."""
    fake = MemoryPipelines()

    async def play(pipeline: str) -> None:
        fake.finish(pipeline, "/talk")
        fake.write(pipeline, "/talk", f"{OUTPUT}\n".encode())
        fake.finish(pipeline, "/group/bad", Cause.EXIT_CODE)
        fake.write(pipeline, "/group/bad", FAILURE.encode())
        fake.finish(pipeline, "/group/good")
        fake.finish(pipeline, "/group/deep/leaf")

    async with serving(fake, folder) as endpoint:
        scene = Scene(endpoint, play, None)
        with scene.client:
            yield scene


@asynccontextmanager
async def real(folder: Path, profile: str = "test") -> AsyncIterator[Scene]:
    """A scene of the local runner; its trees run as plain processes."""
    async with local_runner(folder / "home", "process", profile=profile) as local:

        async def play(pipeline: str) -> None:
            async with asyncio.timeout(60):
                async for batch in local.pipelines.changes(pipeline, 0):
                    if batch.pipeline.settled:
                        return

        async with serving(local.pipelines, folder) as endpoint:
            scene = Scene(endpoint, play, local.home.root)
            with scene.client:
                yield scene
