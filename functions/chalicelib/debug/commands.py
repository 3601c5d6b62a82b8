"""Single commands in containers like those of failed attempts, for assistants.

Each container is a debug shell without sessions. Its worker takes a minute to start, so a request
returns the reason why there is no result yet, and the same request continues to wait. The command
and its result are in the shell's item until the result has been read.
"""

import time
from collections.abc import Callable
from typing import Literal

from chalicelib.debug.sessions import DebugSessions
from chalicelib.debug.store import TableShells
from chalicelib.people.port import Identity
from chalicelib.workers.port import Shell
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.command.task_layout import CTL, SHELL
from conducto_core.debug.model import DebugPlan, DebugRequest, RemoteShellRequest
from conducto_core.errors import RefusedError
from conducto_core.workers.model import MAX_SINGLE_OUTPUT, SingleCommand, SingleCommandEnd

#: Maximum number of containers for commands of one pipeline.
MAX_CONTAINERS = 3
#: Seconds that a request waits for a result; API Gateway ends it after 29.
WAIT_SECONDS = 15.0
_LOOK_SECONDS = 1.0


class FailureCommands:
    """Executes `conducto_core.assistants.operations.EXEC`.

    Args:
        wait: Seconds that a request waits for a result.
    """

    def __init__(
        self,
        shells: TableShells,
        clock: Callable[[], float],
        sessions: DebugSessions,
        wait: float = WAIT_SECONDS,
    ) -> None:
        self._shells = shells
        self._clock = clock
        self._sessions = sessions
        self._wait = wait

    def execute(self, me: Identity, pipeline_id: str, request: ExecRequest) -> ExecResult:
        """Run a command, or continue to wait for it.

        Raises:
            NotFoundError: The node or attempt does not exist.
            RefusedError: There is no container for it, or another command runs in it.
            PlanLimitError: The organisation uses all workers of its plan.
        """
        wanted = DebugRequest(path=request.path, attempt=request.attempt)
        plan = self._sessions.plans.plan(me, pipeline_id, wanted, remote=True)
        runs: Literal["plain", "secrets"] = "secrets" if request.secrets else "plain"
        own = [
            one for one in self._shells.of_pipeline(pipeline_id) if one.runs and one.user == me.user
        ]
        mine = (plan.path, plan.attempt, runs)
        shell = next((one for one in own if (one.path, one.attempt, one.runs) == mine), None)
        if shell is None:
            if len(own) >= MAX_CONTAINERS:
                raise RefusedError(
                    f"{MAX_CONTAINERS} containers of failures are open, the maximum; each ends "
                    "some minutes after its last command"
                )
            opening = RemoteShellRequest(path=request.path, attempt=request.attempt)
            opened = self._sessions.open(me, pipeline_id, opening, runs)
            return self._waiting(plan, f"a worker for it was launched ({opened.id})")
        step = self._sessions.step_of(shell)
        if step is not None:
            return self._waiting(plan, f"its container is starting: {step}")
        return self._run(shell, plan, request)

    def _run(self, shell: Shell, plan: DebugPlan, request: ExecRequest) -> ExecResult:
        command = self._given(shell, request)
        end = time.monotonic() + self._wait
        while True:
            now = self._shells.find(shell.pipeline_id, shell.id) or shell
            self._sessions.check(now)
            found = SingleCommandEnd.model_validate_json(now.result) if now.result else None
            if found is not None and found.number == command.number:
                self._shells.give(shell, "")  # the output is not kept
                return self._result(plan, request, found)
            if time.monotonic() >= end:
                return self._waiting(plan, "the command still runs")
            time.sleep(_LOOK_SECONDS)

    def _given(self, shell: Shell, request: ExecRequest) -> SingleCommand:
        """Return the command that a shell has, or give it this one."""
        wanted = SingleCommand(
            number=int(self._clock() * 1000),
            command=request.command,
            timeout=request.timeout,
            max_bytes=min(request.max_bytes, MAX_SINGLE_OUTPUT),
        )
        if shell.command:
            known = SingleCommand.model_validate_json(shell.command)
            if known.model_copy(update={"number": wanted.number}) == wanted:
                return known
            if not shell.result:
                raise RefusedError(
                    f"{request.path}: another command runs in its container; wait for its end"
                )
        self._shells.give(shell, wanted.model_dump_json())
        return wanted

    @staticmethod
    def _waiting(plan: DebugPlan, reason: str) -> ExecResult:
        return ExecResult(attempt=plan.attempt, waiting=reason)

    @staticmethod
    def _result(plan: DebugPlan, request: ExecRequest, found: SingleCommandEnd) -> ExecResult:
        return ExecResult(
            **found.model_dump(exclude={"number", "position"}),
            kept=found.position > 0,
            withheld=() if request.secrets else tuple(sorted(plan.secrets)),
            attempt=plan.attempt,
            script=f"{CTL}/{SHELL}/cmd.sh",
        )
