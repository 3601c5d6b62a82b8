"""A real agent with store and logs, used through the API."""

import base64
import os
import time
from pathlib import Path
from typing import NamedTuple

import conducto as co
from bench.registry import BenchError
from conducto.tree.launch_form import to_launch_form
from conducto_client import Client, ClientError, HttpTransport
from conducto_core.run.model.records import NodeChange
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import NodeType, State
from conducto_local.agent.launcher import ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir

_MB = 2**20
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Times(NamedTuple):
    """Times of a pipeline, in seconds.

    Attributes:
        wall: From the request until the client knows that the pipeline has settled.
        warm: From the start of the first command to the end of the last one, according to the
            agent; excludes the start of the first container.
        agent_cpu: CPU time of the agent's process, without its commands.
        pipeline: Id of the pipeline.
    """

    wall: float
    warm: float
    agent_cpu: float
    pipeline: str


class Agent:
    """The agent of one profile, which starts at once."""

    def __init__(self, home: StateDir) -> None:
        self.home = home
        self.client = Client(HttpTransport(ensure_agent(home)))
        self.pid = self.client.status().pid

    def stop(self) -> None:
        """Stop the agent and remove its containers."""
        self.client.close()
        stop_agent(self.home)

    def launch(self, root: co.Node, *, run: bool = True, engine: str = "docker") -> str:
        """Launch a tree and return the pipeline's id."""
        return self._submit(_request(root, run=run, engine=engine))

    def settled(self, pipeline_id: str, cursor: int = 0, state: State = State.DONE) -> float:
        """Follow the events after ``cursor``, like a live view, until the pipeline settles.

        Returns:
            Seconds from the start of the first command to the last change.

        Raises:
            BenchError: It ended in another state than ``state``, or nothing ran.
        """
        first = None
        for batch in self.client.events(pipeline_id, cursor):
            # A group counts as running as soon as one of its nodes is queued.
            runs = (c.time for c in batch.changes if _is_running_exec(c))
            first = next(runs, None) if first is None else first
            if batch.changes and batch.pipeline.settled:
                found = batch.pipeline.state
                if found is not state or first is None:
                    raise BenchError(f"pipeline {pipeline_id} ran nothing or is {found.value}")
                return batch.changes[-1].time - first
        raise BenchError(f"the events of {pipeline_id} ended")

    def run(self, root: co.Node, *, engine: str = "docker") -> Times:
        """Run a tree and return the times, excluding its construction and serialisation."""
        request = _request(root, run=True, engine=engine)
        cpu, started = self.cpu(), time.perf_counter()
        pipeline = self._submit(request)
        warm = self.settled(pipeline)
        return Times(time.perf_counter() - started, warm, self.cpu() - cpu, pipeline)

    def warm_up(self, engine: str = "docker") -> None:
        """Make the agent open the engine and find the default image."""
        self.run(co.Exec("true"), engine=engine)

    def reset(self, pipeline_id: str) -> None:
        """Reset the whole pipeline and wait until it has settled again."""
        cursor = self.client.get(pipeline_id).seq
        order = ControlRequest(action=Action.RESET, paths=("/",))
        self.client.control(pipeline_id, order)
        self.settled(pipeline_id, cursor)

    def output(self, pipeline_id: str, path: str = "/") -> str:
        """Return the output of the newest attempt of a node."""
        return base64.b64decode(self.client.log(pipeline_id, path).data).decode()

    def cpu(self) -> float:
        """Return the CPU seconds of its process so far."""
        return self._cpu_fields(11)

    def children_cpu(self) -> float:
        """Return the CPU seconds of its child processes that have ended."""
        return self._cpu_fields(13)

    def _cpu_fields(self, first: int) -> float:
        """Return the sum of a user time and a system time of ``/proc/<pid>/stat``, in seconds.

        Source: proc_pid_stat(5); fields are counted from the state, which follows the name.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[first]) + int(fields[first + 1])) / _TICKS_PER_SECOND

    def memory(self) -> tuple[float, float]:
        """Return the current and the peak memory of its process in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        now, peak = (int(values[key].split()[0]) * 1024 / _MB for key in ("VmRSS", "VmHWM"))
        return now, peak

    def _submit(self, request: LaunchRequest) -> str:
        try:
            return self.client.launch(request).pipeline.id
        except ClientError as error:
            raise BenchError(f"the agent rejected the tree: {error}") from error


def _is_running_exec(change: NodeChange) -> bool:
    return change.type is NodeType.EXEC and change.state is State.RUNNING


def _request(root: co.Node, *, run: bool, engine: str) -> LaunchRequest:
    fields = {"tree": to_launch_form(root, title="bench"), "run": run, "engine": engine}
    return LaunchRequest.model_validate(fields)
