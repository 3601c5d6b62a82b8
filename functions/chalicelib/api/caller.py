"""A caller of the cloud's API, and access to the pipelines of its organisation."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

from chalicelib.billing.store import BillingPorts
from chalicelib.debug.sessions import DebugSessions
from chalicelib.errors import Timing
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.run.deletion import PipelineDeletion
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.store import all_records
from chalicelib.secrets.references import SecretPorts
from chalicelib.triggers.tokens import GitPorts
from chalicelib.workers.slots import Decide
from conducto_core.run.handlers import resolve_id
from conducto_core.run.model.records import PipelineRecord

R = TypeVar("R")


class CloudCaller:
    """Base of the operations of one caller.

    Pipelines of other organisations are not found.
    """

    def __init__(
        self,
        me: Identity,
        engine: CommandProcessor,
        shells: DebugSessions,
        deletion: PipelineDeletion,
        *,
        records: Records,
        storage: Storage,
        secrets: SecretPorts,
        git: GitPorts,
        installation: Installation,
        timing: Timing,
        billing: BillingPorts | None,
    ) -> None:
        self._me, self._engine = me, engine
        self._builds = engine.builds
        self._shells, self._deletion = shells, deletion
        self._records, self._storage, self._secrets, self._git = records, storage, secrets, git
        self._installation, self._timing, self._billing = installation, timing, billing

    async def _read(self, pipeline_id: str, look: Callable[[CloudPipeline], R]) -> R:
        def read() -> R:
            with self._engine.reading(self._me.org, self._owned(pipeline_id)) as live:
                return look(live)

        return await asyncio.to_thread(read)

    def _submit(self, pipeline_id: str, decide: Decide) -> None:
        self._engine.submit(self._me.org, pipeline_id, decide)

    def _all_records(self) -> Iterator[PipelineRecord]:
        return all_records(self._records.store, self._me.org)

    def _owned(self, given: str) -> str:
        """Return the full id of a pipeline that the caller may see; raises `NotFoundError`."""
        if self._records.store.record(self._me.org, given) is not None:
            return given
        return resolve_id(given, (record.id for record in self._all_records()))

    def _looked_at(self, pipeline_id: str) -> str:
        id_ = self._owned(pipeline_id)
        self._engine.watch.poll(self._me.org, id_)
        return id_

    def _note_change(self, pipeline_id: str, change: str) -> None:
        self._engine.note_change(self._me.org, pipeline_id, change, self._me.user)
