"""Calls that the cloud cannot answer yet: each is refused with what to do instead."""

from typing import NoReturn

from conducto.model.debug import DebugPlan, DebugRequest
from conducto.service.port import RefusedError


class NotYet:
    """The part of `conducto.service.port.Pipelines` that is refused."""

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """Refused for now."""
        del pipeline_id
        _refuse(f"{request.path}: a debug shell", "launch the pipeline locally to look into it")


def _refuse(what: str, instead: str) -> NoReturn:
    raise RefusedError(f"{what}: not available in the cloud yet; {instead}")
