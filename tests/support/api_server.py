"""The local server on a real socket, in a thread, over pipelines that a test scripts."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conducto_client import Endpoint
from conducto_core.api.dispatch import Service
from conducto_core.api.pipelines import Pipelines
from conducto_local.agent.agent import LOCAL_RULES
from conducto_local.agent.files import AgentState
from conducto_local.assistants.tokens import LocalTokens
from conducto_local.debug.page import PageShells
from conducto_local.server.agent_operations import LOCAL_OPERATIONS, local_servers
from conducto_local.server.app import ReadMetrics, build_app
from conducto_local.server.auth import Sessions
from conducto_local.server.listener import LOOPBACK, bind, serve

TOKEN = "a-token-of-the-tests"


@dataclass
class RunningServer:
    """A running server.

    Attributes:
        stopped: Set once it has ended.
    """

    endpoint: Endpoint
    stopped: threading.Event

    @property
    def port(self) -> int:
        return int(self.endpoint.url.rpartition(":")[2])


@contextlib.contextmanager
def running_server(
    pipelines: Pipelines,
    port: int = 0,
    web_root: Path = Path("/nowhere"),
    shells: PageShells | None = None,
    read_metrics: ReadMetrics | None = None,
) -> Iterator[RunningServer]:
    """Serve ``pipelines`` while the block runs."""
    sock = bind(port)
    chosen = sock.getsockname()[1]
    state = AgentState(os.getpid(), f"http://{LOOPBACK}:{chosen}", "1.2.3", 5.0)
    listening, stopped = threading.Event(), threading.Event()
    stop, loop = asyncio.Event(), asyncio.new_event_loop()
    sessions = Sessions(TOKEN, chosen)
    tokens = LocalTokens()
    servers = local_servers(pipelines, state, stop.set, sessions, shells, tokens)
    service = Service(*servers, operations=LOCAL_OPERATIONS, rules=LOCAL_RULES)
    app = build_app(
        service,
        token=TOKEN,
        port=chosen,
        sessions=sessions,
        web_root=web_root,
        assistants=tokens,
        read_metrics=read_metrics,
    )

    def run() -> None:
        loop.run_until_complete(serve(app, sock, stop, listening.set))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        stopped.set()

    thread = threading.Thread(target=run)
    thread.start()
    listening.wait(60)
    try:
        yield RunningServer(Endpoint(state.url, TOKEN), stopped)
    finally:
        with contextlib.suppress(RuntimeError):  # it may already have stopped
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)
