"""The agent: one process per user and profile that runs pipelines and serves the API.

This module combines the lock that allows one agent only, the runner, the server, and the signals
that stop the agent. The runner is a parameter.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from conducto_core.api.dispatch import Service
from conducto_core.api.idempotency import IdempotentExecutor
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.problems import RULES, ProblemRule
from conducto_core.images.sdk_wheel import package_version
from conducto_core.secrets.port import SecretStoreError
from conducto_local.agent.files import AgentFiles, AgentState
from conducto_local.agent.process import EXHAUSTED
from conducto_local.agent.state_dir import StateDir
from conducto_local.assistants.containers import FailureContainers
from conducto_local.assistants.tokens import LocalTokens
from conducto_local.debug.page import allowed_shells
from conducto_local.engine.port import EngineError
from conducto_local.remote.link import is_linked, keep_linked
from conducto_local.server.agent_operations import LOCAL_OPERATIONS, local_servers
from conducto_local.server.app import build_app
from conducto_local.server.auth import Sessions
from conducto_local.server.idempotency import remembered
from conducto_local.server.idle_shutdown import IdleShutdown, idle_seconds, stop_when_idle
from conducto_local.server.listener import LOOPBACK, bind, serve
from conducto_local.store.port import DamagedError, StoreFullError
from conducto_local.store.sqlite import FULL_NUMBERS

logger = logging.getLogger(__name__)


OpenRunner = Callable[[StateDir], AbstractAsyncContextManager[Pipelines]]

_DISK_FULL = "about:blank#disk-full"
#: For the first error of this list, clients exit with code 3.
LOCAL_RULES = (
    *RULES,
    ProblemRule(EngineError, 503, "no engine", "about:blank#engine"),
    ProblemRule(StoreFullError, 507, "disk full", _DISK_FULL),
    ProblemRule(OSError, 507, "disk full", _DISK_FULL, FULL_NUMBERS),
    ProblemRule(OSError, 503, "too many open files", numbers=EXHAUSTED),
    ProblemRule(SecretStoreError, 503, "secrets not available"),
    ProblemRule(DamagedError, 500, "damaged record"),
)
#: Seconds between two looks whether the state directory was removed.
REMOVAL_SECONDS = 5.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class AgentRunsAlreadyError(Exception):
    """The profile already has an agent; the message names it."""


def run_agent(
    home: StateDir,
    open_runner: OpenRunner,
    *,
    port: int = 0,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Run the profile's agent until a signal or an API request stops it.

    Raises:
        AgentRunsAlreadyError: The profile already has an agent.
        OSError: The port is in use.
    """
    files = AgentFiles(home.agent)
    with files.held_by_agent() as is_only_one:
        if not is_only_one:
            state = files.read_state()
            which = "" if state is None else f" (pid {state.pid}, {state.url})"
            raise AgentRunsAlreadyError(
                f"profile {home.profile!r} has an agent{which}; stop it with 'conducto agent stop'"
            )
        with _listen(files, port) as sock:
            asyncio.run(_run(home, files, open_runner, sock, on_ready))


def _listen(files: AgentFiles, port: int) -> socket.socket:
    """Return a bound socket, on the last agent's port if it is free: open pages use that port."""
    last = files.read_port() if port == 0 else None
    if last is not None:
        with contextlib.suppress(OSError):
            return bind(last)
    return bind(port)


async def _run(
    home: StateDir,
    files: AgentFiles,
    open_runner: OpenRunner,
    sock: socket.socket,
    on_ready: Callable[[], None] | None,
) -> None:
    port: int = sock.getsockname()[1]
    state = AgentState(os.getpid(), f"http://{LOOPBACK}:{port}", package_version(), time.time())
    stop = _stop_on_signals()
    idle = idle_seconds()

    def announce() -> None:
        files.write_state(state)
        files.write_port(port)
        logger.info("agent listens", extra={"pid": state.pid, "url": state.url})
        if on_ready is not None:
            on_ready()

    logger.info("agent starts", extra={"profile": home.profile, "version": state.version})
    async with open_runner(home) as pipelines:
        token = files.token()
        sessions = Sessions(token, port, file=files.sessions)
        assistants, containers = LocalTokens(files.assistants), FailureContainers(pipelines)
        shells = allowed_shells(pipelines)
        servers = local_servers(
            pipelines, state, stop.set, sessions, shells, assistants, containers
        )
        with remembered(home.agent / "answers.sqlite") as responses:
            once = IdempotentExecutor(responses)
            service = Service(*servers, operations=LOCAL_OPERATIONS, rules=LOCAL_RULES, once=once)
            service.check_complete()
            app = build_app(
                service,
                token=token,
                port=port,
                sessions=sessions,
                assistants=assistants,
                hooks=getattr(pipelines, "hooks", None),  # only those of a machine have these
                read_metrics=getattr(pipelines, "metrics", None),
            )
            attendance = IdleShutdown(app)
            linked = asyncio.create_task(keep_linked(home, service, pipelines))
            leaving = asyncio.create_task(
                stop_when_idle(pipelines, attendance, idle, stop, lambda: is_linked(home))
            )
            lock = files.lock_version()
            removed = asyncio.create_task(_stop_when_removed(files, lock, stop))
            try:
                await serve(attendance, sock, stop, announce)
            finally:
                leaving.cancel()
                removed.cancel()
                await containers.close()
                linked.cancel()
                await asyncio.gather(linked, return_exceptions=True)
                if files.lock_version() == lock:
                    files.remove_state()
                logger.info("agent stops serving", extra={"pid": state.pid})
    logger.info("agent has stopped", extra={"pid": state.pid})


async def _stop_when_removed(
    files: AgentFiles, lock: tuple[int, int] | None, stop: asyncio.Event
) -> None:
    """Set ``stop`` when the state directory was removed: no client can find the agent any more."""
    while not stop.is_set():
        await asyncio.sleep(REMOVAL_SECONDS)
        try:
            found = files.lock_version()
        except OSError:
            continue  # the file system is not available now
        if found != lock:
            logger.error("state directory was removed", extra={"directory": str(files.directory)})
            stop.set()


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop_on(name: str) -> None:
        logger.info("signal received", extra={"signal": name})
        stop.set()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop_on, number.name)
    return stop


def report_ready(descriptor: int) -> None:
    """Report to the parent process over a pipe; the parent may have exited."""
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, b"ready")
    os.close(descriptor)
