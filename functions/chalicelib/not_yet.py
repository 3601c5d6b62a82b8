"""Calls that the cloud cannot answer yet: each is refused with what to do instead."""

from typing import NoReturn

from conducto.model.answers import LogLines, LogMatches
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.params import (
    LogLinesParams,
    LogSearchParams,
)
from conducto.service.port import RefusedError


class NotYet:
    """The part of `conducto.service.port.Pipelines` that is refused."""

    async def log_lines(self, query: LogLinesParams) -> LogLines:
        """Refused for now."""
        _refuse(f"{query.path}: lines of output", "read it whole with 'conducto logs'")

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Refused for now."""
        _refuse(f"{query.path}: search in output", "read it with 'conducto logs' and search there")

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """Refused for now."""
        del pipeline_id
        _refuse(f"{request.path}: a debug shell", "launch the pipeline locally to look into it")


def _refuse(what: str, instead: str) -> NoReturn:
    raise RefusedError(f"{what}: not available in the cloud yet; {instead}")
