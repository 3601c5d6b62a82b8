"""The local runner: everything between the machine's commands and the world."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from conducto_local.agent_files import AgentFiles
from conducto_local.home import Home
from conducto_local.runner.containers import IDLE_SECONDS, Containers
from conducto_local.runner.scheduler import Scheduler
from conducto_local.runner.service import LocalPipelines
from conducto_local.runner.wiring import open_kits
from conducto_local.secrets.delivery import SecretKeeper
from conducto_local.secrets.local import LocalSecrets
from conducto_local.store.sqlite import SqliteStore


@asynccontextmanager
async def open_runner(
    home: Home,
    *,
    idle_seconds: float = IDLE_SECONDS,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[LocalPipelines]:
    """Open the store and the engines of a profile, go on with what was under way, and yield.

    At the end what runs is stopped and its containers are removed; the pipelines stay armed.

    Args:
        home: The profile's directories.
        idle_seconds: How long a container waits for its next command before it leaves.
        env: Where ``DOCKER_HOST`` is looked up; None is the process's own environment.
    """
    home.make()
    store = SqliteStore.open(home.store)
    kits = open_kits(home, env)
    containers = Containers(idle_seconds=idle_seconds)
    scheduler = Scheduler(
        home=home,
        store=store,
        kits=kits,
        containers=containers,
        secrets=SecretKeeper(LocalSecrets(home)),
        url=lambda: _agent_url(home),
    )
    pipelines = LocalPipelines(home=home, store=store, kits=kits, scheduler=scheduler)
    try:
        await pipelines.recover()
        yield pipelines
    finally:
        await scheduler.close()
        for kit in kits.values():
            await kit.engine.close()
        store.close()


def _agent_url(home: Home) -> str:
    """Return where this profile's agent answers; nothing when no agent runs this."""
    state = AgentFiles(home.agent).read_state()
    return "" if state is None else state.url
