"""``python -m conducto_worker.agent``: the command of the container ``agent``."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from conducto_core.model.worker import PROTOCOL, WorkerInstructions, WorkerStart
from conducto_core.runtime.container_stats import Reading
from conducto_core.runtime.json_logs import JsonLines, set_up
from conducto_core.runtime.task_layout import CTL, SHELL, AgentVariables
from conducto_worker.agent.activity_poller import ActivityPoller, connect
from conducto_worker.agent.api import HttpApi, HttpTransport
from conducto_worker.agent.debug_shell import DebugShell
from conducto_worker.agent.fifo_channel import FifoCommands
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.ports import ApiError
from conducto_worker.agent.resources import Sampler, metadata, user_stats
from conducto_worker.agent.worker import Worker


class SignalClock:
    """Satisfies `conducto_worker.agent.ports.Clock`: SIGTERM tells the worker to stop."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None
        self._told = threading.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on; from the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())

    def stop(self) -> None:
        """Have the worker stop."""
        if self._stopped_at is None:
            self._stopped_at = self.now()
        self._told.set()

    def now(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or sooner when the worker is told to stop."""
        if self._told.is_set():
            time.sleep(min(seconds, 1.0))  # told already: what waits must not spin
        else:
            self._told.wait(seconds)

    @property
    def stopped_at(self) -> float | None:
        """When the worker was told to stop."""
        return self._stopped_at


logger = logging.getLogger("conducto_worker")

#: Seconds to get the last of a log through.
_LAST_FLUSH_SECONDS = 15.0


def main(env: Mapping[str, str]) -> int:
    """Be a worker until there is a reason to leave; return the exit code."""
    whose = {"pipeline": AgentVariables.PIPELINE, "worker": AgentVariables.WORKER}
    set_up(JsonLines(**{field: env.get(name, "") for field, name in whose.items()}))
    clock = SignalClock()
    clock.listen()
    api = HttpApi(HttpTransport(env[AgentVariables.API_URL], env[AgentVariables.TOKEN]), clock)
    start = WorkerStart(task=task_arn(env), protocol=PROTOCOL)
    try:
        orders = api.start(start)
    except ApiError as error:
        logger.error("cannot start: %s", error)  # noqa: TRY400  (a sentence says it all)
        return 1
    commands = FifoCommands(Path(CTL), shell=orders.shell, workdir=orders.workdir)
    commands.open()
    try:
        if orders.debug is not None:
            shell = DebugShell(Path(CTL) / SHELL, orders, api=api, commands=commands, clock=clock)
            return 0 if shell.run() else 1
        ask = user_stats(lambda path: metadata(env, path))
        return _work(api, orders, start, commands, clock=clock, ask=ask)
    finally:
        commands.close()


def _work(
    api: HttpApi,
    orders: WorkerInstructions,
    start: WorkerStart,
    commands: FifoCommands,
    *,
    clock: SignalClock,
    ask: Callable[[], Reading | None],
) -> int:
    tasks = ActivityPoller(
        orders, lambda: api.start(start), connect=connect, clock=clock, wall=time.time
    )
    keeper, shipper = HeartbeatSender(api, tasks), LogShipper(api, clock)
    sampler = Sampler(ask, shipper, clock)
    leaving = threading.Event()
    threads = [
        threading.Thread(target=keeper.run, args=(leaving, orders.heartbeat), daemon=True),
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
        orders=orders,
    )
    reason = worker.run()
    shipper.drain(_LAST_FLUSH_SECONDS)
    leaving.set()
    shipper.wake()
    return 1 if reason.broken else 0


def task_arn(env: Mapping[str, str]) -> str:
    """Return what ECS calls this task; empty where it does not say."""
    task = metadata(env, "/task")
    return str(task.get("TaskARN", "")) if isinstance(task, dict) else ""


if __name__ == "__main__":
    sys.exit(main(os.environ))
