"""Operations on the output of commands and builds."""

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.run.model.params import (
    ImageLogParams,
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogParams,
    LogSearchParams,
)
from conducto_core.run.model.requests import LogChunk
from conducto_core.run.model.responses import ImageLog, LogLines, LogMatches, LogOutline
from conducto_local.run.reading import LocalQueries


class LocalLogs(LocalQueries):
    """Operations that read output."""

    async def read_log(self, query: LogParams) -> LogChunk:
        live = self.live(query.id)
        return await self._outputs.chunk(
            live, query, lambda: self._attempts_at(live.id, query.path)
        )

    async def read_log_lines(self, query: LogLinesParams) -> LogLines:
        return await self._outputs.lines(
            self.live(query.id), query, await self._attempts_at(query.id, query.path)
        )

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        return await self._outputs.search(
            self.live(query.id), query, await self._attempts_at(query.id, query.path)
        )

    async def outline_log(self, query: LogOutlineParams) -> LogOutline:
        """Return the times and groups of the lines of a part of an output stream."""
        return await self._outputs.outline(
            self.live(query.id), query, await self._attempts_at(query.id, query.path)
        )

    async def download_log(self, query: LogFileParams, span: ByteRange | None = None) -> Download:
        """Return an output stream as it is now."""
        attempts = await self._attempts_at(query.id, query.path)
        return self._outputs.file(self.live(query.id), query, attempts, span)

    async def get_resources(self, query: ResourcesParams) -> Resources:
        attempts = await self._attempts_at(query.id, query.path)
        return await self._outputs.resources(self.live(query.id), query, attempts)

    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        attempts = await self._attempts_at(params.id, params.path)
        return await self._outputs.stored_stream(self.live(params.id), params, attempts, stream)

    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        return await self._outputs.build(self.live(query.id), query)
