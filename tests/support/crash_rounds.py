"""One round: launch with the client, observe, kill the agent, start another one, wait."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conducto_client import AgentUnreachableError, ApiError, Client, Endpoint, HttpTransport
from conducto_core.run.model.records import AttemptRecord, NodeChange
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest, NodeView
from conducto_core.run.model.states import FINISHED, NodeType, State
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import AgentStartError, ensure_agent
from conducto_local.agent.state_dir import StateDir
from support.crash_plans import Accident, Plan

TIMEOUT = 60.0


@dataclass
class Seen:
    """The state that clients saw before the agent died.

    Attributes:
        ended: ``{(path, number): attempt}`` of those that had ended.
        output: ``{(path, number): stdout}`` as far as it was read.
    """

    changes: list[NodeChange] = field(default_factory=list)
    ended: dict[tuple[str, int], AttemptRecord] = field(default_factory=dict)
    output: dict[tuple[str, int], bytes] = field(default_factory=dict)


class Round:
    """A pipeline, its agents and their deaths.

    Attributes:
        actions: ``{path: (action, attempt it had ended, or 0)}`` of acknowledged and lost actions.
        deaths: How many agents were killed while the pipeline existed.
        mourned: What the engine or the machine had of the dead agents when they died.
    """

    def __init__(self, home: StateDir, plan: Plan, accident: Accident) -> None:
        self.home = home
        self.plan = plan
        self.accident = accident
        self.files = AgentFiles(home.agent)
        self.seen = Seen()
        self.id = ""
        self.actions: dict[str, tuple[Action, int]] = {}
        self.deaths = 0
        self.mourned: set[str] = set()

    def play(self, leftovers: Callable[[], set[str]]) -> None:
        """Play the round; afterwards the last agent runs and the pipeline has settled."""
        self._first_agent()
        self.mourned = leftovers()
        if self.accident.again is not None:
            self._agent_that_dies_young(self.accident.again)
            self.mourned |= leftovers()
        with self.client() as client:
            self._launch_unless_known(client)
            self._settled(client)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with _client(ensure_agent(self.home)) as client:
            yield client

    # ---- the first agent --------------------------------------------------------------------

    def _first_agent(self) -> None:
        endpoint = ensure_agent(self.home)
        agent = self.files.holder()
        assert agent is not None
        with _client(endpoint) as client:
            if self.accident.in_launch:
                killer = self._kill_in(agent, self.accident.delay)
            with contextlib.suppress(AgentUnreachableError):
                self.id = client.launch(self._request()).pipeline.id
            if not self.accident.in_launch and self.accident.order is None:
                killer = self._kill_in(agent, self.accident.delay)
            watcher = threading.Thread(target=self._watch, args=(endpoint,))
            watcher.start()
            with contextlib.suppress(AgentUnreachableError):
                if self.accident.order is not None:
                    self._order(client)
                    killer = self._kill_in(agent, self.accident.delay)
                while self.id and killer.is_alive():
                    self._look(client)
            killer.join()
            watcher.join()

    def _request(self) -> LaunchRequest:
        engine = "docker" if self.plan.engine == "docker" else "process"
        return LaunchRequest(tree=self.plan.tree, run=True, engine=engine)

    def _order(self, client: Client) -> None:
        if self.accident.when_settled:
            self._settled(client)
        else:
            end = time.monotonic() + self.accident.order_after
            while time.monotonic() < end:
                self._look(client)
        execs = [n for n in client.tree(self.id) if n.type is NodeType.EXEC]
        node = self.plan.random.choice(execs)
        ended = len(node.attempts) if node.state in FINISHED else 0
        order = self.accident.order
        assert order is not None
        self.actions[node.path] = (order, ended)
        with contextlib.suppress(ApiError):  # the agent is not running
            client.control(self.id, ControlRequest(action=order, paths=(node.path,)))

    def _look(self, client: Client) -> None:
        """Record the states of attempts and their output."""
        for node in client.tree(self.id):
            for attempt in node.attempts:
                self._note(client, node, attempt)
        time.sleep(0.02)

    def _note(self, client: Client, node: NodeView, attempt: AttemptRecord) -> None:
        key = (node.path, attempt.number)
        if key in self.seen.ended:
            return
        chunk = client.log(self.id, node.path, attempt=attempt.number)
        self.seen.output[key] = base64.b64decode(chunk.data)
        if attempt.state in FINISHED:
            self.seen.ended[key] = attempt

    def _watch(self, endpoint: Endpoint) -> None:
        if not self.id:
            return
        with _client(endpoint) as client, contextlib.suppress(AgentUnreachableError):
            for batch in client.events(self.id, 0):
                self.seen.changes += batch.changes

    # ---- deaths -----------------------------------------------------------------------------

    def _kill_in(self, agent: int, seconds: float) -> threading.Thread:
        def kill() -> None:
            time.sleep(seconds)
            os.kill(agent, signal.SIGKILL)
            os.waitpid(agent, 0)

        self.deaths += 1
        thread = threading.Thread(target=kill)
        thread.start()
        return thread

    def _agent_that_dies_young(self, seconds: float) -> None:
        before = self.files.holder()

        def start() -> None:
            with contextlib.suppress(AgentStartError):  # the error if it dies too early
                ensure_agent(self.home)

        starter = threading.Thread(target=start)
        starter.start()
        end = time.monotonic() + TIMEOUT
        while (agent := self.files.holder()) in (before, None):
            assert time.monotonic() < end, "no second agent"
            time.sleep(0.002)
        time.sleep(seconds)
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        starter.join()
        with contextlib.suppress(ChildProcessError):  # its starter has already reaped it
            os.waitpid(agent, 0)
        self.deaths += 1

    # ---- afterwards -------------------------------------------------------------------------

    def _launch_unless_known(self, client: Client) -> None:
        """Launch again unless the pipeline exists: unacknowledged launches may be lost."""
        if self.id:
            return
        known = client.list()
        if not known:
            self.id = client.launch(self._request()).pipeline.id
            return
        self.id = known[0].pipeline.id
        if not known[0].pipeline.armed:
            client.control(self.id, ControlRequest(action=Action.RUN))

    def _settled(self, client: Client) -> None:
        end = time.monotonic() + TIMEOUT
        while not client.get(self.id).settled:
            assert time.monotonic() < end, f"does not settle: {_status(client, self.id)}"
            time.sleep(0.05)

    def run_something(self, client: Client) -> None:
        """Make the agent use its engine."""
        tree = {**self.plan.tree, "nodes": [{"id": "0", "type": "Exec", "command": "true"}]}
        tree["nodes"][0]["image_name"] = "i"
        request = self._request().model_copy(update={"tree": {**tree, "edges": []}})
        other = client.launch(request).pipeline.id
        end = time.monotonic() + TIMEOUT
        while client.get(other).state is not State.DONE:
            assert time.monotonic() < end, f"does not run: {_status(client, other)}"
            time.sleep(0.05)

    @property
    def notes(self) -> Path:
        return self.home.pipeline(self.id).data


def _client(endpoint: Endpoint) -> Client:
    return Client(HttpTransport(endpoint), resume_delays=())


def _status(client: Client, pipeline_id: str) -> dict[str, str]:
    return {
        node.path: f"{node.state} ({node.waits_for})" if node.waits_for else str(node.state)
        for node in client.tree(pipeline_id)
    }
