"""Calls that the cloud cannot answer yet: each is refused with what to do instead."""

from collections.abc import AsyncIterator
from typing import NoReturn

from conducto.model.answers import DataEntry, DataList, Deleted, ImageLog, LogLines, LogMatches
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.params import (
    MAX_LOG_CHUNK,
    ListUserDataParams,
    LogFileParams,
    LogLinesParams,
    LogSearchParams,
)
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList
from conducto.service.downloads import Download, Span
from conducto.service.port import RefusedError


class NotYet:
    """The part of `conducto.service.port.Pipelines` that is refused."""

    async def log_lines(self, query: LogLinesParams) -> LogLines:
        """Refused for now."""
        _refuse(f"{query.path}: lines of output", "read it whole with 'conducto logs'")

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Refused for now."""
        _refuse(f"{query.path}: search in output", "read it with 'conducto logs' and search there")

    async def log_file(self, query: LogFileParams, span: Span | None = None) -> Download:
        """Refused for now."""
        del span
        _refuse(f"{query.path}: output as a file", "read it with 'conducto logs'")

    async def image_log(
        self,
        pipeline_id: str,
        image: str,
        *,
        offset: int = 0,
        limit: int = MAX_LOG_CHUNK,
        wait: float = 0.0,
    ) -> ImageLog:
        """Refused for now."""
        del offset, limit, wait
        _refuse(f"{pipeline_id}: output of the build of {image!r}", "images are not built there")

    async def data(self, pipeline_id: str | None, query: ListUserDataParams) -> DataList:
        """Refused for now."""
        del query
        _refuse_data(pipeline_id)

    async def read_data(
        self, pipeline_id: str | None, name: str, span: Span | None = None
    ) -> Download:
        """Refused for now."""
        del name, span
        _refuse_data(pipeline_id)

    async def write_data(
        self, pipeline_id: str | None, name: str, content: AsyncIterator[bytes]
    ) -> DataEntry:
        """Refused for now."""
        del name, content
        _refuse_data(pipeline_id)

    async def delete_data(self, pipeline_id: str | None, name: str) -> Deleted:
        """Refused for now."""
        del name
        _refuse_data(pipeline_id)

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """Refused for now."""
        del pipeline_id
        _refuse(f"{request.path}: a debug shell", "launch the pipeline locally to look into it")

    async def secrets(self) -> SecretList:
        """Refused for now."""
        _refuse("secrets", "an administrator can set them in Secrets Manager")

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Refused for now."""
        del request
        _refuse("secrets", "an administrator can set them in Secrets Manager")

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Refused for now."""
        del request
        _refuse("secrets", "an administrator can set them in Secrets Manager")


def _refuse(what: str, instead: str) -> NoReturn:
    raise RefusedError(f"{what}: not available in the cloud yet; {instead}")


def _refuse_data(pipeline_id: str | None) -> NoReturn:
    whose = "the user" if pipeline_id is None else pipeline_id
    _refuse(f"data files of {whose}", "read and write them in commands, below /conducto/data")
