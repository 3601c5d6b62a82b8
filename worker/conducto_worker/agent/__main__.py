"""``python -m conducto_worker.agent``: the command of the container ``agent``."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_urlsafe

from conducto_core.command.json_logs import JsonLines, set_up
from conducto_core.command.task_layout import CTL, SHELL, AgentVariables
from conducto_core.command.usage import Reading
from conducto_core.services.rules import of_agent
from conducto_core.workers.model import PROTOCOL, WorkerInstructions, WorkerStart
from conducto_worker.agent.api import HttpApi, HttpTransport
from conducto_worker.agent.aws import ActivityPoller, connect, prove, task_credentials
from conducto_worker.agent.debug_shell import DebugShell
from conducto_worker.agent.fifo_channel import FifoCommands
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.port import WorkerApiError
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler, metadata, user_stats
from conducto_worker.agent.worker import Worker


class SignalClock:
    """A clock that SIGTERM stops; implements `conducto_worker.agent.port.Clock`."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None
        self._told = threading.Event()

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT from now on; call it in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())

    def stop(self) -> None:
        if self._stopped_at is None:
            self._stopped_at = self.now()
        self._told.set()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        if self._told.is_set():
            time.sleep(min(seconds, 1.0))  # already stopping: do not busy-wait
        else:
            self._told.wait(seconds)

    @property
    def stopped_at(self) -> float | None:
        """Time at which the worker was asked to stop, or None."""
        return self._stopped_at


logger = logging.getLogger("conducto_worker")

#: Prefix of every token of the API.
_PREFIX = "cdo_"
#: Seconds allowed for sending the last output before the worker exits.
_LAST_FLUSH_SECONDS = 15.0


def main(env: Mapping[str, str]) -> int:
    """Run a worker until it has a reason to exit; return the exit code."""
    whose = {"pipeline": AgentVariables.PIPELINE, "worker": AgentVariables.WORKER}
    set_up(JsonLines(**{field: env.get(name, "") for field, name in whose.items()}))
    clock = SignalClock()
    clock.listen()
    transport = HttpTransport(env[AgentVariables.API_URL], env[AgentVariables.TOKEN])
    api = HttpApi(transport, clock)
    start = WorkerStart(task=task_arn(env), protocol=PROTOCOL)
    key = _PREFIX + token_urlsafe(32)
    try:
        proof = prove(start.task, key, env, task_credentials())
        instructions = api.start(start.model_copy(update={"key": key, "proof": proof}))
    except WorkerApiError as error:
        logger.error("cannot start: %s", error)  # noqa: TRY400  (no traceback needed)
        return 1
    # The token in the task's environment is readable for others, the key is in this process only.
    transport.authenticate(key)
    commands = FifoCommands(Path(CTL), shell=instructions.shell, workdir=instructions.workdir)
    commands.open()
    try:
        if instructions.debug is not None:
            shell = DebugShell(
                Path(CTL) / SHELL, instructions, api=api, commands=commands, clock=clock
            )
            return 0 if shell.run() else 1
        ask = user_stats(lambda path: metadata(env, path))
        beside = of_agent(env.get(AgentVariables.SERVICES, ""))
        services = Services(beside, lambda path: metadata(env, path), clock)
        return _work(api, instructions, start, commands, clock=clock, ask=ask, services=services)
    finally:
        commands.close()


def _work(
    api: HttpApi,
    instructions: WorkerInstructions,
    start: WorkerStart,
    commands: FifoCommands,
    *,
    clock: SignalClock,
    ask: Callable[[], Reading | None],
    services: Services,
) -> int:
    tasks = ActivityPoller(
        instructions, lambda: api.start(start), connect=connect, clock=clock, wall=time.time
    )
    shipper = LogShipper(api, clock)
    keeper = HeartbeatSender(api, tasks, shipper)
    sampler = Sampler(ask, shipper, clock)
    leaving = threading.Event()
    threads = [
        threading.Thread(target=keeper.run, args=(leaving, instructions.heartbeat), daemon=True),
        threading.Thread(target=shipper.run, args=(leaving,), daemon=True),
        threading.Thread(target=sampler.run, args=(leaving,), daemon=True),
    ]
    for each in threads:
        each.start()
    worker = Worker(
        api,
        tasks,
        commands,
        keeper=keeper,
        shipper=shipper,
        sampler=sampler,
        clock=clock,
        services=services,
        instructions=instructions,
    )
    reason = worker.run()
    shipper.drain(_LAST_FLUSH_SECONDS)
    leaving.set()
    shipper.wake()
    return 1 if reason.broken else 0


def task_arn(env: Mapping[str, str]) -> str:
    """Return the ARN of this task, or an empty string if the metadata has none."""
    task = metadata(env, "/task")
    return str(task.get("TaskARN", "")) if isinstance(task, dict) else ""


if __name__ == "__main__":
    sys.exit(main(os.environ))
