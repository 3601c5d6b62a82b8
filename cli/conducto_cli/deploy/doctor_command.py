"""``conducto doctor``: checks of this machine, each with a remedy."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from conducto.api import paths
from conducto.distribution import find_collision
from conducto.errors import UsageError
from conducto_cli.app.arguments import add_json, add_stage
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.deploy.checks import CheckResult, Status
from conducto_cli.deploy.port import AccountError
from conducto_core.run.model.labels import in_dollars

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from conducto.distribution import Collision
    from conducto_cli.app.arguments import Parser
    from conducto_cli.deploy.port import AwsAccount, Machine
    from conducto_core.workers.model import WarmPool


#: Bytes of free disk below which images soon do not fit.
DISK_MODEST = 5 << 30
DISK_LEAST = 1 << 30


class CheckedMachine(Protocol):
    """What running pipelines on this machine needs."""

    def python(self) -> str:
        """Return the version of this Python."""

    def engine(self) -> tuple[str, tuple[str, ...]]:
        """Return the container engine with its version, and what containers lack on it.

        Raises:
            RuntimeError: none can be used; the message says why and what to do.
        """

    def free_bytes(self) -> int:
        """Return how much room is where Conducto keeps its files."""

    def agent(self) -> tuple[str, str] | None:
        """Return the version of the running agent and where it listens; None: none runs.

        Raises:
            RuntimeError: one runs and does not answer.
        """

    def damage(self) -> tuple[str, ...]:
        """Return a sentence for each damaged part of the store, with the remedy.

        Raises:
            RuntimeError: An agent runs and does not answer.
        """

    def version(self) -> str:
        """Return the version of Conducto that is asked."""

    def collision(self) -> Collision | None:
        """Return the distribution that has the same files as this one, if there is one."""

    def warm_pool(self) -> WarmPool | None:
        """Return the warm pool of the installation that one is logged in to, if there is one.

        Raises:
            RuntimeError: The installation does not respond.
        """


class ThisHost:
    """A `Host`.

    Args:
        profile: None is the profile in use.
    """

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile

    def python(self) -> str:
        return sys.version.split()[0]

    def engine(self) -> tuple[str, tuple[str, ...]]:
        import asyncio

        from conducto_local.engine.docker.engine import DockerEngine
        from conducto_local.engine.port import EngineError

        async def ask() -> tuple[str, tuple[str, ...]]:
            engine = DockerEngine()
            try:
                info = await engine.open()
            finally:
                await engine.close()
            text = f"{info.name} {info.version}, {info.cpus:g} CPUs, {info.memory:.1f} GB"
            return text, info.warnings

        try:
            return asyncio.run(ask())
        except EngineError as error:
            raise RuntimeError(str(error)) from error

    def free_bytes(self) -> int:
        place = Path(paths.base_dir())
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def agent(self) -> tuple[str, str] | None:
        from conducto_cli.target.connection import LocalAgent
        from conducto_client import Client, ClientError, HttpTransport

        try:
            endpoint = LocalAgent(self._profile).find()
            if endpoint is None:
                return None
            with Client(HttpTransport(endpoint)) as client:
                return client.status().version, endpoint.url
        except (ClientError, UsageError) as error:
            raise RuntimeError(str(error)) from error

    def damage(self) -> tuple[str, ...]:
        from conducto_cli.target.connection import LocalAgent
        from conducto_client import Client, ClientError, HttpTransport
        from conducto_local.agent.repair import damage_of
        from conducto_local.agent.state_dir import open_state_dir
        from conducto_local.store.port import SET_ASIDE

        try:
            endpoint = LocalAgent(self._profile).find()
            if endpoint is None:
                return damage_of(open_state_dir(self._profile))
            with Client(HttpTransport(endpoint)) as client:
                problems = [one.pipeline.problem or "" for one in client.list(lifecycle="all")]
        except (ClientError, UsageError) as error:
            raise RuntimeError(str(error)) from error
        return tuple(problem for problem in problems if SET_ASIDE in problem)

    def version(self) -> str:
        from conducto_core.images.sdk_wheel import package_version

        return package_version()

    def collision(self) -> Collision | None:
        return find_collision()

    def warm_pool(self) -> WarmPool | None:
        from conducto_cli.target.account import account_of
        from conducto_client import ClientError

        account = account_of(self._profile)
        if account is None:
            return None
        try:
            with account.client() as client:
                return client.who_am_i().warm
        except (ClientError, UsageError) as error:
            raise RuntimeError(str(error)) from error


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--cloud", action="store_true", help="also what deploying to AWS needs")
    add_stage(parser)
    add_json(parser)


def run(
    arguments: argparse.Namespace,
    host: CheckedMachine | None = None,
    machine: Machine | None = None,
    account: AwsAccount | None = None,
) -> int:
    """Print the results; return 0 if no check failed.

    Args:
        host: None is this machine; so is the next.
        machine: See ``host``.
        account: None is that of the AWS configuration.
    """
    from conducto_cli.deploy import checks
    from conducto_cli.deploy import checks as check_results
    from conducto_cli.deploy.local_tools import LocalTools

    host = ThisHost(arguments.profile) if host is None else host
    found = list(host_findings(host))
    if arguments.cloud:
        found += checks.machine_findings(LocalTools() if machine is None else machine)
        found += _account_findings(arguments, account)
        found += _warm_pool(host)
    if arguments.json:
        print(as_json([finding.as_document() for finding in found]))
    else:
        print("\n".join(check_results.lines(found)))
    return FAILED if check_results.is_failed(found) else DONE


def host_findings(host: CheckedMachine) -> Iterator[CheckResult]:
    yield _installation(host)
    yield _tried("engine", lambda: _engine(host))
    yield _disk(host.free_bytes())
    yield _tried("agent", lambda: _agent(host))
    try:
        yield from (CheckResult("store", Status.FAILED, each) for each in host.damage())
    except RuntimeError:
        return  # the line of the agent shows the error


def _installation(host: CheckedMachine) -> CheckResult:
    collision = host.collision()
    text = f"{host.version()}, on Python {host.python()}"
    if collision is None:
        return CheckResult("conducto", Status.OK, text)
    text, remedy = f"{text}; {collision.text}", "\n".join(collision.commands)
    return CheckResult("conducto", Status.WARNING, text, remedy)


def _engine(host: CheckedMachine) -> CheckResult:
    text, warnings = host.engine()
    if not warnings:
        return CheckResult("engine", Status.OK, text)
    return CheckResult("engine", Status.WARNING, text, "\n".join(warnings))


def _tried(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except RuntimeError as error:
        return CheckResult(name, Status.FAILED, str(error))


def _disk(free: int) -> CheckResult:
    text = f"{free / 2**30:.1f} GB free in {paths.base_dir()}"
    remedy = "free some: conducto gc, then docker system prune"
    if free < DISK_LEAST:
        return CheckResult("disk", Status.FAILED, text, remedy)
    if free < DISK_MODEST:
        return CheckResult("disk", Status.WARNING, text, remedy)
    return CheckResult("disk", Status.OK, text)


def _agent(host: CheckedMachine) -> CheckResult:
    found = host.agent()
    if found is None:
        return CheckResult("agent", Status.OK, "none is running; the next launch starts it")
    version, url = found
    if version != host.version():
        remedy = "when nothing runs: conducto agent stop; the next launch starts the new one"
        text = f"version {version} at {url}, which is not the one installed"
        return CheckResult("agent", Status.WARNING, text, remedy)
    return CheckResult("agent", Status.OK, f"version {version} at {url}")


def _warm_pool(host: CheckedMachine) -> Iterator[CheckResult]:
    from conducto_cli.text.text import count_of
    from conducto_core.workers.rules.fargate import PRICES, size_for

    try:
        pool = host.warm_pool()
    except RuntimeError as error:
        yield CheckResult("warm pool", Status.SKIPPED, f"cannot be asked for: {error}")
        return
    if pool is not None:
        hour = PRICES.worker_hour(size_for("an Exec", 1, 2))
        stay = "stays" if pool.workers == 1 else "stay"
        text = (
            f"up to {count_of(pool.workers, 'idle worker')} of an organisation {stay} "
            f"{pool.seconds / 60:g} minutes for a rerun; one for cpu=1 mem=2 costs "
            f"{in_dollars(hour)} an hour"
        )
        yield CheckResult("warm pool", Status.OK, text)


def _account_findings(
    arguments: argparse.Namespace, account: AwsAccount | None
) -> Iterator[CheckResult]:
    from conducto_cli.deploy import checks
    from conducto_cli.deploy.aws import BotoAccount
    from conducto_cli.deploy.choices import limitation_findings
    from conducto_core.installation.names import settings_name

    try:
        there = BotoAccount(arguments.region) if account is None else account
    except AccountError as error:
        yield CheckResult("credentials", Status.FAILED, str(error), error.remedy)
        return
    profile = os.environ.get("AWS_PROFILE")
    if profile:
        yield CheckResult("aws profile", Status.OK, profile)
    found = list(checks.account_findings(there, arguments.stage))
    yield from found
    if there.region is not None and not checks.is_failed(found):
        try:
            kept = json.loads(there.parameter(settings_name(arguments.stage)) or "{}")
        except AccountError:  # the checks above name the missing permission
            kept = {}
        yield from limitation_findings(there.region, arguments.stage, kept)
