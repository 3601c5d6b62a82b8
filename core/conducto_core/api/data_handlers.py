"""Handlers of operations on data files, of a pipeline or of the user."""

from collections.abc import AsyncIterator

from conducto_core.api.handlers import Call
from conducto_core.model.params import (
    ChangedDataParams,
    DataParams,
    ListDataParams,
    ListUserDataParams,
    UserDataParams,
)
from conducto_core.model.responses import ChangedData, DataEntry, DataList, Deleted
from conducto_core.ports.downloads import Download
from conducto_core.ports.pipelines import Pipelines


async def list_data(pipelines: Pipelines, call: Call[ListDataParams, None]) -> DataList:
    """List a directory of a pipeline's data."""
    return await pipelines.data(call.params.id, call.params)


async def list_changed_data(
    pipelines: Pipelines, call: Call[ChangedDataParams, None]
) -> ChangedData:
    """List the files of a pipeline's data that were written within a time range."""
    return await pipelines.changed_data(call.params)


async def read_data(pipelines: Pipelines, call: Call[DataParams, None]) -> Download:
    """Download a file of a pipeline's data."""
    return await pipelines.read_data(call.params.id, call.params.name, call.span)


async def write_data(
    pipelines: Pipelines, call: Call[DataParams, AsyncIterator[bytes]]
) -> DataEntry:
    """Write a file of a pipeline's data."""
    return await pipelines.write_data(call.params.id, call.params.name, call.body)


async def delete_data(pipelines: Pipelines, call: Call[DataParams, None]) -> Deleted:
    """Delete a file or directory of a pipeline's data."""
    return await pipelines.delete_data(call.params.id, call.params.name)


async def list_user_data(pipelines: Pipelines, call: Call[ListUserDataParams, None]) -> DataList:
    """List a directory of the user's data."""
    return await pipelines.data(None, call.params)


async def read_user_data(pipelines: Pipelines, call: Call[UserDataParams, None]) -> Download:
    """Download a file of the user's data."""
    return await pipelines.read_data(None, call.params.name, call.span)


async def write_user_data(
    pipelines: Pipelines, call: Call[UserDataParams, AsyncIterator[bytes]]
) -> DataEntry:
    """Write a file of the user's data."""
    return await pipelines.write_data(None, call.params.name, call.body)


async def delete_user_data(pipelines: Pipelines, call: Call[UserDataParams, None]) -> Deleted:
    """Delete a file or directory of the user's data."""
    return await pipelines.delete_data(None, call.params.name)
