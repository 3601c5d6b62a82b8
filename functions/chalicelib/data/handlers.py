"""The data file operations of `CloudPipelines`."""

import asyncio
from collections.abc import AsyncIterator

from chalicelib.api.caller import CloudCaller
from chalicelib.api.transfers import StagedDownload, Upload, new_key, nothing, transfer_key
from chalicelib.data.copy_jobs import MAX_AT_ONCE, Copy, CopyJobs
from chalicelib.data.function import MAX_INLINE
from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.serve import serves
from conducto_core.data import operations as data_operations
from conducto_core.installation.names import pipeline_directory, user_directory
from conducto_core.run.model.params import ChangedDataParams, ListUserDataParams, UserDataParams
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted


class CloudData(CloudCaller):
    """Data file operations; a function that mounts the file system executes them."""

    def _data_directory(self, pipeline_id: str | None) -> str:
        if pipeline_id is None:
            return user_directory(self._me.org, self._me.user)
        return pipeline_directory(self._owned(pipeline_id))

    async def _changed_directory(self, pipeline_id: str | None, change: str) -> str:
        where = self._data_directory(pipeline_id)
        if pipeline_id is not None:
            await asyncio.to_thread(self._note_change, self._owned(pipeline_id), change)
        return where

    @serves(data_operations.DATA, data_operations.USER_DATA)
    async def list_data(self, query: ListUserDataParams) -> DataList:
        """List a directory of a pipeline's data, or of the user's data."""
        where = self._data_directory(query.pipeline)
        return await asyncio.to_thread(
            self._storage.data.entries, where, query.name, query.after, query.limit
        )

    @serves(data_operations.CHANGED_DATA)
    async def list_changed_data(self, query: ChangedDataParams) -> ChangedData:
        """List the files of a pipeline's data that were written within a period."""
        where = self._data_directory(query.id)
        return await asyncio.to_thread(
            self._storage.data.changed, where, query.since, query.until, query.limit
        )

    @serves(data_operations.DATA_FILE, data_operations.USER_DATA_FILE)
    async def read_data(self, params: UserDataParams, span: ByteRange | None = None) -> Download:
        """Return a download of a data file; the bucket serves the whole file and ranges of it."""
        del span
        where, name = self._data_directory(params.pipeline), params.name
        facts = await asyncio.to_thread(self._storage.data.stat, where, name)
        copy = Copy(transfer_key(self._me, where, name, facts.version), *facts)
        if facts.size > MAX_AT_ONCE:
            last = transfer_key(self._me, where, name)
            copy = await asyncio.to_thread(
                CopyJobs(self._storage, self._timing.clock).stage,
                where,
                name,
                copy,
                last,
            )
        elif facts.size and not await asyncio.to_thread(self._storage.blobs.exists, copy.key):
            await asyncio.to_thread(self._storage.data.stage, where, name, copy.key)
        return StagedDownload(
            name.rpartition("/")[2], copy.size, 0, copy.size, copy.version, nothing(), key=copy.key
        )

    @serves(data_operations.PUT_DATA, data_operations.PUT_USER_DATA)
    async def write_data(self, params: UserDataParams, content: AsyncIterator[bytes]) -> DataEntry:
        """Write a data file, replacing an existing one."""
        where, name = await self._changed_directory(params.pipeline, "write_data"), params.name
        if isinstance(content, Upload):
            return await asyncio.to_thread(self._fetched, where, name, content.key)
        data = b"".join([chunk async for chunk in content])
        if len(data) <= MAX_INLINE:
            return await asyncio.to_thread(self._storage.data.write, where, name, data)
        key = new_key(self._me)
        self._storage.blobs.put(key, data)
        return await asyncio.to_thread(self._storage.data.fetch, where, name, key)

    def _fetched(self, where: str, name: str, key: str) -> DataEntry:
        size = self._storage.blobs.size(key) or 0
        if size > MAX_AT_ONCE:
            return CopyJobs(self._storage, self._timing.clock).fetch(where, name, key, size)
        return self._storage.data.fetch(where, name, key)

    @serves(data_operations.DELETE_DATA, data_operations.DELETE_USER_DATA)
    async def delete_data(self, params: UserDataParams) -> Deleted:
        """Delete a data file, or a directory and its contents."""
        where = await self._changed_directory(params.pipeline, "delete_data")
        return await asyncio.to_thread(self._storage.data.delete, where, params.name)
