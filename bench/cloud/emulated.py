"""The whole cloud on this machine: real containers, moto for AWS."""

import statistics
import time
from collections import Counter
from itertools import pairwise

import conducto as co
from bench.cloud.lab import IMAGES, CloudLab
from bench.registry import BenchError
from conducto.tree.launch_form import to_launch_form
from conducto_client.client import Client
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State

Found = dict[str, float]
_ORG = "bench"
_WORKERS = 4
_FEW, _MANY, _CHAIN = 10, 110, 25
_TIMEOUT = 240.0


def run(lab: CloudLab) -> Found:
    """Run two Parallels and a chain of ``true``; count the events and measure the times."""
    emulator = lab.emulator
    plan = {"kind": "set_plan", "org": _ORG, "max_workers": _WORKERS, "max_pipelines": 100}
    emulator.functions.call("admin", plan)
    client = Client(HttpTransport(Endpoint(emulator.url, emulator.token(_ORG, "me"))))
    try:
        few = _Run(lab, client, co.Parallel, _FEW)
        many = _Run(lab, client, co.Parallel, _MANY)
        chain = _Run(lab, client, co.Serial, _CHAIN)
    finally:
        client.close()
    events, states = many.history - few.history, many.history - few.history
    more = _MANY - _FEW
    return {
        "events_per_exec": sum(events.values()) / more,
        "transitions_per_exec": _transitions(states) / more,
        "execs_per_second": many.execs_per_second(),
        "next_claim_ms": chain.gap_ms(),
    }


class _Run:
    """A pipeline that has run.

    Attributes:
        history: ``{type of event: number}`` of its execution.
    """

    def __init__(self, lab: CloudLab, client: Client, group: type[co.Node], size: int) -> None:
        root = group(image=IMAGES[1], cpu=0.25, mem=0.5)
        for n in range(size):
            root[f"n{n:03}"] = co.Exec("true")
        request = LaunchRequest(tree=to_launch_form(root), run=True)
        self._client = client
        self.id = client.launch(request).pipeline.id
        self._settle()
        self._attempts = sorted(
            (a for n in range(size) for a in client.attempts(self.id, f"/n{n:03}")),
            key=lambda attempt: attempt.started or 0.0,
        )
        if [a.state for a in self._attempts] != [State.DONE] * size:
            raise BenchError("some commands failed or were retried: the results are invalid")
        self.history = _history(lab, self.id)

    def _settle(self) -> None:
        end = time.monotonic() + _TIMEOUT
        while not self._client.get(self.id).pipeline.status.settled:
            if time.monotonic() > end:
                raise BenchError(f"a pipeline did not finish within {_TIMEOUT:.0f} s")
            time.sleep(0.2)

    def execs_per_second(self) -> float:
        """Return the commands per second, from the start of the first command to the last end."""
        ends = [attempt.ended or 0.0 for attempt in self._attempts]
        return len(ends) / (max(ends) - (self._attempts[0].started or 0.0))

    def gap_ms(self) -> float:
        """Return the median time from the end of a command to the start of the next, in a chain."""
        gaps = [(b.started or 0.0) - (a.ended or 0.0) for a, b in pairwise(self._attempts)]
        return 1e3 * statistics.median(gaps)


def _history(lab: CloudLab, pipeline_id: str) -> Counter[str]:
    """Return the number of events of a pipeline's only execution, once it has ended."""
    end = time.monotonic() + _TIMEOUT
    while not (found := _ended(lab, pipeline_id)):
        if time.monotonic() > end:
            raise BenchError("an execution did not end")
        time.sleep(0.1)
    if len(found) != 1:
        raise BenchError(f"the pipeline had {len(found)} executions: the results are invalid")
    return found[0]


def _ended(lab: CloudLab, pipeline_id: str) -> list[Counter[str]]:
    histories = list(lab.histories.items())
    return [history for run, history in histories if run.rpartition("-")[0] == pipeline_id]


def _transitions(events: Counter[str]) -> int:
    return sum(number for kind, number in events.items() if kind.endswith("StateEntered"))
