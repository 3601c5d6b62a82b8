"""A caller of the cloud's API, and access to the pipelines of its organisation."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

from chalicelib.debug.sessions import DebugSessions
from chalicelib.people.port import Identity
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.store import all_records
from chalicelib.workers.slots import Decide
from conducto_core.run.handlers import resolve_id
from conducto_core.run.model.records import PipelineRecord

R = TypeVar("R")


class CloudCaller:
    """Base of the operations of one caller.

    Pipelines of other organisations are not found.
    """

    def __init__(self, engine: CommandProcessor, identity: Identity) -> None:
        self._engine = engine
        self._cloud = engine.cloud
        self._me = identity
        self._builds = engine.builds
        self._shells = DebugSessions(engine)

    async def _read(self, pipeline_id: str, look: Callable[[CloudPipeline], R]) -> R:
        def read() -> R:
            with self._engine.reading(self._me.org, self._owned(pipeline_id)) as live:
                return look(live)

        return await asyncio.to_thread(read)

    def _submit(self, pipeline_id: str, decide: Decide) -> None:
        self._engine.submit(self._me.org, pipeline_id, decide)

    def _records(self) -> Iterator[PipelineRecord]:
        return all_records(self._cloud.records.store, self._me.org)

    def _owned(self, given: str) -> str:
        """Return the full id of a pipeline that the caller may see; raises `NotFoundError`."""
        if self._cloud.records.store.record(self._me.org, given) is not None:
            return given
        return resolve_id(given, (record.id for record in self._records()))

    def _looked_at(self, pipeline_id: str) -> str:
        id_ = self._owned(pipeline_id)
        self._engine.watch.poll(self._me.org, id_)
        return id_

    def _note_change(self, pipeline_id: str, change: str) -> None:
        self._engine.note_change(self._me.org, pipeline_id, change, self._me.user)
