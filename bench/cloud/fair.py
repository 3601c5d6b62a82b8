"""Pipelines that arrive while another one has all workers of the plan."""

import time
from collections.abc import Callable

import conducto as co
from bench.cloud.lab import IMAGES, CloudLab
from bench.registry import BenchError
from conducto.tree.launch_form import to_launch_form
from conducto_client.client import Client
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import State

Found = dict[str, float]
_ORG = "fair"
_WORKERS = 2
_MANY, _FEW = 200, 3
_TIMEOUT = 120.0


def arrive(lab: CloudLab) -> Found:
    """Launch two pipelines while a long one has both workers, with Execs of 1 s.

    The delays are from the launch to the start of the first command. The third pipeline has to wait
    until one of the others has ended or has had its turn.
    """
    emulator = lab.emulator
    plan = {"kind": "set_plan", "org": _ORG, "max_workers": _WORKERS, "max_pipelines": 100}
    emulator.functions.call("admin", plan)
    client = Client(HttpTransport(Endpoint(emulator.url, emulator.token(_ORG, "me"))))
    try:
        return _measure(client)
    finally:
        client.close()


def _measure(client: Client) -> Found:
    alone = _launch(client, _FEW)
    _until(lambda: client.get(alone).pipeline.status.settled)
    holder = _launch(client, _MANY)
    _until(lambda: (workers := client.get(holder).workers) and workers.busy == _WORKERS)
    second = _launch(client, _FEW)
    third = _launch(client, _FEW)
    _until(lambda: client.get(third).pipeline.status.settled)
    client.control(holder, ControlRequest(action=Action.CANCEL))
    _until(lambda: client.get(holder).pipeline.status.settled)
    began = {run: _first_start(client, run) for run in (alone, second, third)}
    if began[third] < began[second]:
        raise BenchError("a pipeline was overtaken by a later one")
    delays = {run: started - _launched(client, run) for run, started in began.items()}
    ends = [a.ended or 0.0 for n in range(_FEW) for a in client.attempts(second, _name(n))]
    return {
        "alone_seconds": delays[alone],
        "second_seconds": delays[second],
        "after_second_seconds": began[third] - max(ends),
    }


def _launch(client: Client, size: int) -> str:
    root = co.Parallel(image=IMAGES[1], cpu=0.25, mem=0.5)
    for n in range(size):
        root[_name(n).removeprefix("/")] = co.Exec("sleep 1")
    return client.launch(LaunchRequest(tree=to_launch_form(root), run=True)).pipeline.id


def _launched(client: Client, run: str) -> float:
    return client.get(run).pipeline.created


def _first_start(client: Client, run: str) -> float:
    attempts = [each for n in range(_FEW) for each in client.attempts(run, _name(n))]
    if any(each.state is not State.DONE for each in attempts):
        raise BenchError("some commands failed or were retried: the results are invalid")
    return min(each.started or 0.0 for each in attempts)


def _name(n: int) -> str:
    return f"/n{n:03}"


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"a pipeline did not get that far within {_TIMEOUT:.0f} s")
        time.sleep(0.1)
