"""The debug shells of `CloudPipelines`."""

import asyncio

from chalicelib.api.caller import CloudCaller
from chalicelib.debug.commands import FailureCommands
from conducto_core.api.operation import Permission
from conducto_core.api.problems import check_allowed
from conducto_core.api.serve import serves
from conducto_core.assistants import operations as assistants_operations
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.debug import operations
from conducto_core.debug.model import (
    DebugPlan,
    DebugRequest,
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams


class CloudDebug(CloudCaller):
    """Plans of debug shells on the caller's machine, and shells on workers."""

    @serves(operations.DEBUG)
    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell for an attempt."""
        id_ = await asyncio.to_thread(self._owned, params.id)
        if request.live:
            raise RefusedError(
                f"{request.path}: no live shells in the cloud; launch the pipeline locally, or "
                f"use: conducto debug {id_} {request.path}"
            )
        if request.snapshot:
            raise RefusedError(f"{request.path}: cloud workers take no snapshots; omit --snapshot")
        return await asyncio.to_thread(self._shells.plans.plan, self._me, id_, request)

    @serves(assistants_operations.EXEC)
    async def exec_in_failure(self, params: PipelineParams, request: ExecRequest) -> ExecResult:
        """Run a command in a container like that of an attempt, on a worker of its own."""
        if request.secrets:
            check_allowed([Permission.DEBUG], self._me.permissions)
        id_ = await asyncio.to_thread(self._owned, params.id)
        commands = FailureCommands(self._records.shells, self._timing.clock, self._shells)
        return await asyncio.to_thread(commands.execute, self._me, id_, request)

    @serves(operations.OPEN_REMOTE_SHELL)
    async def open_remote_shell(
        self, params: PipelineParams, request: RemoteShellRequest
    ) -> RemoteShell:
        """Request a worker for a debug shell."""
        return self._shells.open(self._me, self._owned(params.id), request)

    @serves(operations.ENTER_REMOTE_SHELL)
    async def enter_remote_shell(self, params: RemoteShellParams) -> RemoteShellEntry:
        """Return the shell's endpoint, or the reason why it is not ready."""
        return self._shells.enter(self._me, params.id, params.shell)

    @serves(operations.END_REMOTE_SHELL)
    async def end_remote_shell(self, params: RemoteShellParams) -> RemoteShellEnd:
        """Close a debug shell and stop its worker."""
        return self._shells.end(self._me, params.id, params.shell)
