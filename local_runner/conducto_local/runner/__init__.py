"""The local runner: everything between the machine's commands and the world."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conducto_local.home import Home
from conducto_local.runner.containers import IDLE_SECONDS, Containers
from conducto_local.runner.scheduler import Scheduler
from conducto_local.runner.service import LocalPipelines
from conducto_local.runner.wiring import open_kits
from conducto_local.store.sqlite import SqliteStore


@asynccontextmanager
async def open_runner(
    home: Home, *, idle_seconds: float = IDLE_SECONDS
) -> AsyncIterator[LocalPipelines]:
    """Open the store and the engines of a profile, go on with what was under way, and yield.

    At the end what runs is stopped and its containers are removed; the pipelines stay armed.

    Args:
        home: The profile's directories.
        idle_seconds: How long a container waits for its next command before it leaves.
    """
    home.make()
    store = SqliteStore.open(home.store)
    kits = open_kits(home)
    containers = Containers(idle_seconds=idle_seconds)
    scheduler = Scheduler(home=home, store=store, kits=kits, containers=containers)
    pipelines = LocalPipelines(home=home, store=store, kits=kits, scheduler=scheduler)
    try:
        await pipelines.recover()
        yield pipelines
    finally:
        await scheduler.close()
        for kit in kits.values():
            await kit.engine.close()
        store.close()
