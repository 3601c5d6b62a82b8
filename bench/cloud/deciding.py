"""The cost of the functions' decisions, with fakes instead of AWS."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.cloud import (
    FakeBlobs,
    FakeBuilder,
    FakeFleet,
    FakeIdentityProvider,
    FakeLogs,
    FakeMachines,
    FakeVault,
)
from tests.fakes.cloud.memory import MemoryClients
from tests.fakes.cloud.workers import first_start
from tests.fakes.schedules import MemorySchedules

import conducto as co
from bench.cloud.lab import CloudLab
from chalicelib.data.function import LocalDataFiles
from chalicelib.dependencies import Dependencies
from chalicelib.events.port import EventPorts
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.records import Records
from chalicelib.secrets.references import SecretPorts
from chalicelib.services import Services
from chalicelib.triggers.github_app import GithubApps
from chalicelib.triggers.providers import GitProviders, HttpGitRefs
from chalicelib.triggers.tokens import GitPorts, GitTokens
from chalicelib.workers.port import Compute
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import Site, node_id
from conducto_core.billing.rules import BillingPlan
from conducto_core.notifications.channels import Settings
from conducto_core.programs.model import ContinueRequest
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.workers.model import Claim, ClaimDecision, Report
from support.cloud.world import with_ports

Found = dict[str, float]
ME = Identity("acme", "ann", frozenset({"read", "launch", "change_state"}))
_QUEUED = 1000
_POOLS = 8
_DECISIONS = 50
_EXECS = 300
_LARGE, _GROUP = 100_000, 1000
_SCRIPT = "/home/ann/pipeline.py"


class _NoMachines:
    """State machines that offer no tasks, because the benchmark sends the claims itself."""

    def create(self, machine: Machine) -> None:
        """Accept a machine."""

    def start(self, arn: str, _data: Mapping[str, Any]) -> str:
        """Return the id of an execution that never ends."""
        return arn

    def stop(self, execution: str) -> None:
        """Accept a stop."""

    def status(self, _execution: str) -> str:
        """Return the status of an execution."""
        return "RUNNING"

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Accept a result."""

    def fail(self, token: str, error: str) -> None:
        """Accept a failure."""


SITE = Site("us-east-1", "123456789012", stage="bench")


class Place:
    """A cloud in memory with one launched pipeline.

    Args:
        root: Its tree.
        workers: Maximum number of workers.
        run: Whether it runs.
        ports: Ports to use instead of fakes.
    """

    def __init__(self, root: co.Node, workers: int, *, run: bool = True, **ports: Any) -> None:
        clients, blobs = MemoryClients(), FakeBlobs()
        records = Records.from_table(clients.table, blobs, time.time)
        for each in (records.orgs, ports.get("orgs", records.orgs)):
            each.set_plan(ME.org, BillingPlan("scale", workers, 1000, 16, None))
        self.store, self.tokens = records.store, records.tokens
        self.fleet = FakeFleet()
        vault, apps = FakeVault(), GithubApps(Settings(), time.time)
        parts = Dependencies(
            records=records,
            storage=Storage(FakeLogs(), blobs, LocalDataFiles(Path("/dev/null/data"), blobs)),
            compute=Compute(self.fleet, FakeMachines(_NoMachines(), LookupError, SITE)),
            secrets=SecretPorts(vault),
            git=GitPorts(
                GitProviders(Settings()),
                HttpGitRefs(public_only=True),
                apps,
                GitTokens(records, vault, apps),
            ),
            installation=Installation(SITE),
            provider=FakeIdentityProvider(),
            events=EventPorts(MemorySchedules()),
            connections=clients.connections(time.time),
            builder=FakeBuilder(),
        )
        self.cloud = with_ports(parts, **ports)
        self.services = Services(self.cloud)
        self.api = self.services.pipelines(ME)
        self.pipeline = self.launch(root, run=run)

    def launch(self, root: co.Node, *, run: bool = True) -> str:
        """Launch a pipeline; return its id."""
        request = LaunchRequest(tree=to_launch_form(root), run=run, program=_SCRIPT)
        return asyncio.run(self.api.launch(request)).pipeline.id


def ensure_workers(_lab: CloudLab) -> Found:
    """Determine the workers to launch for 1,000 queued Execs in eight pools without workers."""
    root = co.Parallel(image="busybox")
    for n in range(_QUEUED):
        root[f"n{n:04}"] = co.Exec("true", mem=1 + n % _POOLS)
    place = Place(root, workers=0)
    with place.services.engine.reading(ME.org, place.pipeline) as live:
        started = time.perf_counter()
        for _ in range(_DECISIONS):
            wanted = live.wanted()
        seconds = time.perf_counter() - started
    if len(wanted) != _POOLS:
        raise AssertionError(f"workers of {len(wanted)} pools are requested, not of {_POOLS}")
    return {"per_second": _DECISIONS / seconds, "ms": 1e3 * seconds / _DECISIONS}


def claim_and_report(_lab: CloudLab) -> Found:
    """Run 300 Execs of a Parallel with one worker: a claim and a report each, both committed."""
    seconds = _served(Place(_parallel(_EXECS), workers=1), _EXECS)
    return {"ms_per_exec": 1e3 * seconds / _EXECS, "commits_per_second": 2 * _EXECS / seconds}


def cached_1000(_lab: CloudLab) -> Found:
    """Launch 1,000 commands, all of which are from the cache."""
    place = Place(_parallel(_QUEUED, cache=True), workers=1)
    _served(place, _QUEUED)
    workers = len(place.fleet.tasks)
    root = _parallel(_QUEUED, cache=True)
    started = time.process_time()
    pipeline = place.launch(root)
    seconds = time.process_time() - started
    state = asyncio.run(place.api.get_pipeline(PipelineParams(id=pipeline))).pipeline.status
    if not state.settled or len(place.fleet.tasks) > workers:
        raise AssertionError(f"the commands of {pipeline} were not from the cache: {state}")
    return {"cpu_seconds": seconds}


def _parallel(size: int, **params: Any) -> co.Parallel:
    root = co.Parallel(image="busybox", **params)
    for n in range(size):
        root[f"n{n:04}"] = co.Exec(f"true {n}")
    return root


def _served(place: Place, size: int) -> float:
    """Run all Execs with the worker that was started; return the seconds."""
    ((arn, task),) = place.fleet.tasks.items()
    worker = place.tokens.find(digest_of(task.token))
    if worker is None:
        raise AssertionError("the worker's token is unknown")
    desk = place.services.worker(worker)
    asyncio.run(desk.worker_start(first_start(arn)))
    with place.services.engine.reading(ME.org, place.pipeline) as live:
        run = live.cloud_machine.run
    started = time.perf_counter()
    for n in range(size):
        path = f"/n{n:04}"
        response = asyncio.run(desk.worker_claim(Claim(token=f"t{n}", run=run, node=node_id(path))))
        if response.decision is not ClaimDecision.RUN:
            raise AssertionError(f"{path} was not allowed to run: {response}")
        asyncio.run(desk.worker_report(Report(path=path, attempt=response.attempt, exit_code=0)))
    return time.perf_counter() - started


def continue_large(_lab: CloudLab) -> Found:
    """Continue a pipeline with 100,000 Execs, of which one changed; the store is in memory."""
    place = Place(_grouped("true"), workers=0, run=False)
    params = PipelineParams(id=place.pipeline)
    launch = LaunchRequest(tree=to_launch_form(_grouped("false")), program=_SCRIPT)
    seconds = {}
    for name, preview in (("preview", True), ("replace", False)):
        request = ContinueRequest(launch=launch, preview=preview)
        started = time.process_time()
        plan = asyncio.run(place.api.continue_pipeline(params, request))
        seconds[name] = time.process_time() - started
    changed = [node.path for node in plan.nodes if node.reason == "definition changed"]
    if changed != ["/g000/n000"]:
        raise AssertionError(f"the plan has other changes: {changed[:3]}")
    return {f"{name}_cpu_seconds": found for name, found in seconds.items()}


def _grouped(first: str) -> co.Serial:
    """Return a Serial of Parallels, in which the first Exec has the command ``first``."""
    root = co.Serial(image="busybox")
    for g in range(_LARGE // _GROUP):
        group = root[f"g{g:03}"] = co.Parallel()
        for n in range(_GROUP):
            group[f"n{n:03}"] = co.Exec(first if g == n == 0 else "true")
    return root
