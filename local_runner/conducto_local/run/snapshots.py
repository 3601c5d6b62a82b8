"""Snapshots: containers of failed commands, kept as images within limits."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from conducto_core.run.model.records import AttemptRecord
from conducto_local.agent.state_dir import number_in
from conducto_local.engine.port import Engine, EngineError, SnapshotError, Worker
from conducto_local.run.context import EngineContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.store.port import Store

logger = logging.getLogger(__name__)

#: A label of every snapshot; its value is the pipeline's id. The others identify the attempt.
LABEL_SNAPSHOT = "com.conducto.snapshot"
LABEL_NODE = "com.conducto.snapshot.node"
LABEL_ATTEMPT = "com.conducto.snapshot.attempt"

_GB = 2**30
_COUNT = "CONDUCTO_MAX_SNAPSHOTS"
_SIZE = "CONDUCTO_MAX_SNAPSHOT_GB"


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """The limits of snapshots.

    Attributes:
        count: Maximum number of snapshots of one pipeline; the oldest are deleted.
        max_bytes: Maximum size of a snapshot beyond its image.
    """

    count: int = 5
    max_bytes: int = 2 * _GB


def limits_from(env: Mapping[str, str] = os.environ) -> SnapshotLimits:
    """Return the limits from the environment, or the defaults.

    Raises:
        AgentSettingError: A value is not a number above 0.
    """
    standard = SnapshotLimits()
    meaning = "a number above 0"
    count = number_in(env, _COUNT, default=standard.count, meaning=meaning)
    gigabytes = number_in(env, _SIZE, default=standard.max_bytes / _GB, meaning=meaning)
    return SnapshotLimits(max(1, int(count)), int(gigabytes * _GB))


class Snapshots:
    """The snapshots of one agent's pipelines."""

    def __init__(
        self,
        store: Store,
        saved: Callable[..., Awaitable[None]],
        limits: SnapshotLimits | None = None,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._saved = saved
        self._labels = labels
        self._limits = SnapshotLimits() if limits is None else limits

    async def snapshot(self, active: ActiveAttempt, worker: Worker, engine: Engine) -> str | None:
        """Make a snapshot of a failed attempt; return the reason if that is not possible.

        Call it after the command has ended and before the container is reused.
        """
        live, path = active.live, active.spec.path
        digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        reference = f"conducto_snapshot:{live.id}-{digest}-{active.number}"
        labels = {
            **self._labels,
            LABEL_SNAPSHOT: live.id,
            LABEL_NODE: path,
            LABEL_ATTEMPT: str(active.number),
        }
        try:
            await worker.snapshot(reference, labels, max_bytes=self._limits.max_bytes)
        except SnapshotError as error:
            return str(error)
        except EngineError as error:
            return f"no snapshot: {error}"
        if active.record is not None:
            active.record = active.record.model_copy(update={"snapshot": reference})
            live.set_attempt(active.record)
        await self._saved()
        await self._prune(live, engine)
        return None

    async def forget(self, live: LivePipeline, engine_context: EngineContext) -> int:
        """Remove every snapshot of a pipeline; return their number.

        Snapshots that the engine cannot remove now are found later by ``gc`` through their labels.

        Raises:
            StoreFullError: The store is full.
        """
        await self._saved(wait=False)
        known = self._store.snapshots(live.id)
        if known:
            with contextlib.suppress(EngineError):  # each removal reports it, too
                await engine_context.open()
            await self._remove(live, engine_context.engine, known)
            await self._saved(wait=False)
        return len(known)

    async def _prune(self, live: LivePipeline, engine: Engine) -> None:
        known = self._store.snapshots(live.id)
        surplus = max(0, len(known) - self._limits.count)
        ended = [record for record in known if record.ended is not None]
        await self._remove(live, engine, ended[:surplus])

    async def _remove(
        self, live: LivePipeline, engine: Engine, records: list[AttemptRecord]
    ) -> None:
        for record in records:
            try:
                await engine.remove_image(str(record.snapshot))
            except EngineError as error:
                logger.warning(
                    "snapshot is kept", extra={"image": record.snapshot, "why": str(error)}
                )
            live.set_attempt(record.model_copy(update={"snapshot": None}))
