"""Deletion of pipelines with all their resources."""

import asyncio
import logging
import shlex
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from conducto_core.partitions.handlers import remember
from conducto_core.run.model import events as ev
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.engine.port import Engine, EngineError, Job, Mount, WorkerSpec, WorkerStartError
from conducto_local.partitions.store import PartitionFiles
from conducto_local.run.attempt_records import LABEL_HOME, LABEL_PROFILE, labels_of
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import Store, StoreFullError

logger = logging.getLogger(__name__)


#: Mount path of a directory that is erased in a container.
_ERASED = "/conducto/erase"
_SHELL = "/bin/sh"


class PipelineDeleter:
    """Deletes pipelines: commands, containers, network, snapshots, data, logs and history.

    Built images are kept: other pipelines may use them, and `gc` knows which do.
    """

    def __init__(self, home: StateDir, store: Store, scheduler: Scheduler) -> None:
        self._home = home
        self._store = store
        self._scheduler = scheduler

    async def delete(self, live: LivePipeline) -> None:
        """Delete a pipeline, also on a full disk.

        `gc` finds the containers, snapshots and images that the engine cannot remove now by their
        labels, and the files that cannot be removed in the directory of discarded files.

        Raises:
            StoreFullError: The disk is full, and an earlier deletion has used the reserve.
        """
        scheduler = self._scheduler
        scheduler.apply(live, ev.Disarmed())
        scheduler.apply(live, ev.NodesKilled(("/",)))
        await scheduler.wait_idle(live)
        await scheduler.networks.release(live)
        engine_context = scheduler.engine_context(live)
        with suppress(StoreFullError):  # `gc` removes them later
            await scheduler.snapshots.forget(live, engine_context)
        with suppress(EngineError):
            await engine_context.engine.remove_labelled(labels_of(live.id, self._home))
        # No await from here to the deletion, so that no request can load the pipeline again.
        image = self._image_of(live.id)
        remember(PartitionFiles(self._home), live)
        scheduler.drop(live.id)
        path = self._home.discard_pipeline(live.id)
        self._store.delete(live.id)
        logger.info("pipeline deleted", extra={"pipeline": live.id})
        if path is not None and not await asyncio.to_thread(self._home.erase, path):
            await self.erase_as_root(engine_context.engine, image, path)

    async def erase_as_root(self, engine: Engine, image: str | None, path: Path) -> None:
        """Remove files that containers wrote as root and that the agent's user may not remove."""
        if image is not None:
            try:
                spec = self._spec(image, path)
                script = _erasing(path)
                worker = await engine.start_worker(spec)
                try:
                    await worker.run(Job(script), lambda _stream, _data: None)
                finally:
                    await worker.close()
            except (EngineError, WorkerStartError) as error:
                logger.warning("cannot remove files in a container", extra={"why": str(error)})
        if not await asyncio.to_thread(self._home.erase, path):
            logger.warning("files cannot be removed", extra={"path": str(path)})

    def _spec(self, image: str, path: Path) -> WorkerSpec:
        return WorkerSpec(
            name=f"conducto_erase_{token_hex(6)}",
            image=image,
            shell=_SHELL,
            cpu=1,
            mem=0.25,
            docker_run_args=("--user=0:0",),
            mounts=(Mount(str(path), _ERASED),),
            network="none",
            labels={LABEL_HOME: installation_id(self._home), LABEL_PROFILE: self._home.profile},
        )

    def _image_of(self, pipeline_id: str) -> str | None:
        return next((a.image for a in self._store.attempts(pipeline_id) if a.image), None)

    def sweep(self) -> None:
        """Remove the files of deleted pipelines; blocks."""
        for path in self._home.discarded():
            try:
                is_gone = self._home.erase(path)
            except Exception:
                logger.exception("removing files failed", extra={"path": str(path)})
            else:
                if not is_gone:
                    logger.warning("files cannot be removed", extra={"path": str(path)})


def _erasing(path: Path) -> str:
    names = " ".join(shlex.quote(each.name) for each in path.iterdir())
    return f"cd {_ERASED} && rm -rf -- {names}"
