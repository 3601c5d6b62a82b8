"""Operations on data files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.serve import serves
from conducto_core.data import operations
from conducto_core.data.handlers import DataDirectory
from conducto_core.run.model.params import ChangedDataParams, ListUserDataParams, UserDataParams
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted
from conducto_local.data.downloads import download
from conducto_local.run.access import LocalAccess
from conducto_local.store.port import StoreFullError


class LocalData(LocalAccess):
    """Operations on the data of pipelines and of the user."""

    @serves(operations.DATA, operations.USER_DATA)
    async def list_data(self, query: ListUserDataParams) -> DataList:
        directory = self._data(query.pipeline)
        return await asyncio.to_thread(directory.entries, query.name, query.after, query.limit)

    @serves(operations.CHANGED_DATA)
    async def list_changed_data(self, query: ChangedDataParams) -> ChangedData:
        directory = self._data(query.id)
        return await asyncio.to_thread(directory.changed, query.since, query.until, query.limit)

    @serves(operations.DATA_FILE, operations.USER_DATA_FILE)
    async def read_data(self, params: UserDataParams, span: ByteRange | None = None) -> Download:
        file = self._data(params.pipeline).open(params.name)
        return download(file, params.name.rpartition("/")[2], span)

    @serves(operations.PUT_DATA, operations.PUT_USER_DATA)
    async def write_data(self, params: UserDataParams, content: AsyncIterator[bytes]) -> DataEntry:
        return await self._data(params.pipeline).write(params.name, content)

    @serves(operations.DELETE_DATA, operations.DELETE_USER_DATA)
    async def delete_data(self, params: UserDataParams) -> Deleted:
        return await asyncio.to_thread(self._data(params.pipeline).delete, params.name)

    def _data(self, pipeline_id: str | None) -> DataDirectory:
        return DataDirectory(self._data_root(pipeline_id), StoreFullError)

    def _data_root(self, pipeline_id: str | None) -> Path:
        if pipeline_id is None:
            return self._home.user_data
        return self._home.pipeline(self._cache.record(pipeline_id).id).data
