"""The networks of pipelines, and the handling of a lost engine."""

import logging

from conducto_core.run.model.requests import Action
from conducto_local.engine.port import EngineError
from conducto_local.run.attempt_records import labels_of
from conducto_local.run.containers import Containers
from conducto_local.run.context import EngineContext, SchedulerContext
from conducto_local.run.live_pipeline import LivePipeline

logger = logging.getLogger(__name__)


class Networks:
    """The engines of one agent, as its pipelines use them."""

    def __init__(self, common: SchedulerContext, containers: Containers) -> None:
        self._common = common
        self._containers = containers

    def tidy(self, engine_context: EngineContext) -> None:
        """Open an engine soon, which removes the leftovers of a dead agent."""
        self._common.tasks.spawn(self._tidy(engine_context))

    async def _tidy(self, engine_context: EngineContext) -> None:
        try:
            await engine_context.open()
        except EngineError as error:
            logger.warning("cannot remove leftovers yet", extra={"why": str(error)})

    async def network(self, live: LivePipeline) -> str:
        """Return the name of a pipeline's network; create it if necessary."""
        name = f"conducto_network_{live.id}"
        async with live.network_lock:  # a second container must wait for the network too
            if not live.network_is_sure:
                labels = labels_of(live.id, self._common.home)
                await self._common.engine_context(live).engine.ensure_network(name, labels)
                live.has_network = live.network_is_sure = True
        return name

    async def remove_network(self, live: LivePipeline) -> None:
        """Remove a pipeline's network and its remaining containers."""
        if not live.has_network:
            return
        live.has_network = live.network_is_sure = False
        try:
            await self._common.engine_context(live).engine.remove_labelled(
                labels_of(live.id, self._common.home)
            )
        except EngineError as error:
            logger.warning(
                "cannot remove the network", extra={"pipeline": live.id, "why": str(error)}
            )

    async def release(self, live: LivePipeline) -> None:
        """Remove the containers and the network of a pipeline without active attempts."""
        if live.uses_containers():
            return
        why = "the pipeline was idle for some time, or was put to sleep"
        self._containers.drop(lambda pool: pool[0] == live.id, why)
        await self._containers.closed()
        async with live.network_lock:  # a container that starts meanwhile recreates the network
            if not live.uses_containers():
                await self.remove_network(live)

    def lost(self, live: LivePipeline, error: EngineError) -> None:
        """Pause the pipelines of a lost engine; commands that have not started are not lost."""
        self._common.engine_context(live).lost()
        logger.error("engine lost", extra={"engine": live.record.engine, "why": str(error)})
        for other in list(self._common.live.values()):
            if other.record.engine == live.record.engine and other.record.armed:
                other.network_is_sure = False
                other.builder = None
                self._common.perform(other, Action.PAUSE, str(error))
        self._containers.drop(lambda _pool: True, str(error))
