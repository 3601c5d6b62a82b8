"""An agent of our own, used as a user's program uses it: over the API, with store and logs."""

import base64
import time
from pathlib import Path
from typing import NamedTuple

import conducto as co
from bench.registry import BenchError
from conducto.client import Client, ClientError, HttpTransport
from conducto.model.api import Action, ControlRequest, LaunchRequest, PipelineSummary
from conducto.model.states import State
from conducto.tree.launch_form import to_launch_form
from conducto_local.home import Home
from conducto_local.launcher import ensure_agent, stop_agent

_MB = 2**20
_TICKS_PER_SECOND = 100


class Times(NamedTuple):
    """How long a pipeline took, in seconds.

    Attributes:
        wall: From the request to a client that knows that it has settled.
        warm: From the first command's start to the last one's end, by the agent's own records:
            without the first container's start.
        agent_cpu: What the agent's process used, its commands not counted.
    """

    wall: float
    warm: float
    agent_cpu: float


class Agent:
    """The agent of one profile; started at once."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.client = Client(HttpTransport(ensure_agent(home)))
        self.pid = self.client.status().pid

    def stop(self) -> None:
        """Stop it; its containers go with it."""
        self.client.close()
        stop_agent(self.home)

    def launch(self, root: co.Node, *, run: bool = True, engine: str = "docker") -> str:
        """Hand in a tree and return the pipeline's id."""
        return self._submit(_request(root, run=run, engine=engine))

    def settled(self, pipeline_id: str, cursor: int = 0) -> PipelineSummary:
        """Follow the events after ``cursor`` as a live view does, until the pipeline settles.

        Raises:
            BenchError: it ended in another state than done.
        """
        for batch in self.client.events(pipeline_id, cursor):
            summary = batch.pipeline
            if batch.changes and summary.settled:
                if summary.state is not State.DONE:
                    raise BenchError(f"pipeline {pipeline_id} is {summary.state.value}, not done")
                return summary
        raise BenchError(f"the events of {pipeline_id} ended")

    def run(self, root: co.Node, *, engine: str = "docker") -> Times:
        """Run a tree and return how long it took; to build it and write it down is not counted."""
        request = _request(root, run=True, engine=engine)
        cpu, begun = self.cpu(), time.perf_counter()
        summary = self.settled(self._submit(request))
        wall = time.perf_counter() - begun
        if summary.started is None or summary.ended is None:
            raise BenchError(f"pipeline {summary.pipeline.id} has no times")
        return Times(wall, summary.ended - summary.started, self.cpu() - cpu)

    def warm_up(self, engine: str = "docker") -> None:
        """Let it open the engine and find the default image."""
        self.run(co.Exec("true"), engine=engine)

    def reset(self, pipeline_id: str) -> None:
        """Run the whole pipeline once more, and wait until it has settled."""
        cursor = self.client.get(pipeline_id).seq
        order = ControlRequest(action=Action.RESET, paths=("/",))
        self.client.control(pipeline_id, order)
        self.settled(pipeline_id, cursor)

    def output(self, pipeline_id: str, path: str = "/") -> str:
        """Return what the newest attempt of a node printed."""
        return base64.b64decode(self.client.log(pipeline_id, path).data).decode()

    def cpu(self) -> float:
        """Return the CPU seconds of its process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def memory(self) -> tuple[float, float]:
        """Return the MB that it holds now, and the most it ever held."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        now, peak = (int(values[key].split()[0]) * 1024 / _MB for key in ("VmRSS", "VmHWM"))
        return now, peak

    def _submit(self, request: LaunchRequest) -> str:
        try:
            return self.client.launch(request).pipeline.id
        except ClientError as error:
            raise BenchError(f"the agent does not take the tree: {error}") from error


def _request(root: co.Node, *, run: bool, engine: str) -> LaunchRequest:
    fields = {"tree": to_launch_form(root, title="bench"), "run": run, "engine": engine}
    return LaunchRequest.model_validate(fields)
