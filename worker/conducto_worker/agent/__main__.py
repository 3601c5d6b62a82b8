"""``python -m conducto_worker.agent``: the command of the container ``agent``."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from conducto.model.worker import PROTOCOL, WorkerOrders, WorkerStart
from conducto.running.container_stats import Reading
from conducto.running.json_logs import JsonLines, set_up
from conducto_worker.agent.api import HttpApi, HttpTransport
from conducto_worker.agent.channel import FifoCommands
from conducto_worker.agent.clock import SignalClock
from conducto_worker.agent.debug_shell import DebugShell
from conducto_worker.agent.keeper import Keeper
from conducto_worker.agent.ports import ApiError
from conducto_worker.agent.resources import Sampler
from conducto_worker.agent.shipping import Shipper
from conducto_worker.agent.task_stats import metadata, user_stats
from conducto_worker.agent.tasks import ActivityTasks, connect
from conducto_worker.agent.worker import Worker
from conducto_worker.layout import CTL, SHELL, AgentVariables

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
    orders: WorkerOrders,
    start: WorkerStart,
    commands: FifoCommands,
    *,
    clock: SignalClock,
    ask: Callable[[], Reading | None],
) -> int:
    tasks = ActivityTasks(
        orders, lambda: api.start(start), connect=connect, clock=clock, wall=time.time
    )
    keeper, shipper = Keeper(api, tasks), Shipper(api, clock)
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
