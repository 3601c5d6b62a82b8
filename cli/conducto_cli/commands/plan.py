"""``--plan`` and ``conducto plan``: what a launch in the cloud would take, without asking AWS.

Durations are those of earlier launches, which the agent and the cloud installation are asked for.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from conducto_cli.arguments import add_json, add_method
from conducto_cli.exit_codes import DONE, USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conducto.tree.node_base import NodeBase
    from conducto_cli.connection import OpenClient
    from conducto_client import Client
    from conducto_core.model.nodes import Pipeline
    from conducto_core.model.programs import ProgramPlan
    from conducto_core.semantics.asl.estimate import Estimate, PoolEstimate

#: Earlier launches whose durations are read, the newest.
LAUNCHES = 5
#: Workers at once of the free plan.
FREE_WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, the FILE and the METHOD."""
    _add_options(parser)
    add_method(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(1, 1001),
        metavar="N",
        help="workers of one kind at once, at most (default: those of the plan that you are logged "
        "in with, else 2, as the free plan has)",
    )
    parser.add_argument("--spot", action="store_true", help="on Spot, which may be interrupted")
    add_json(parser)
    parser.add_argument("file", metavar="FILE", help="the script of the pipeline")


def run(argv: Sequence[str]) -> int:
    """Print what a script's pipeline would take in the cloud; nothing is sent anywhere.

    Args:
        argv: The words after ``conducto plan``.

    Returns:
        The exit code: 0; 2 for a wrong definition or command line.
    """
    try:
        options, words = _parser().parse_known_args(argv)
    except SystemExit as stop:  # argparse has printed the usage or an error
        return stop.code if isinstance(stop.code, int) else USAGE
    from conducto.script import user_errors  # noqa: PLC0415 - not for --help
    from conducto_cli.script_loader import root_of  # noqa: PLC0415

    try:
        root = root_of(options.file, words)
        return print_plan(
            root,
            program=options.file,
            workers=options.workers,
            spot=options.spot,
            as_json=options.json,
        )
    except Exception as error:
        if user_errors.debugging():
            raise
        return user_errors.report(error, Path(options.file).name)


def print_plan(
    root: NodeBase,
    *,
    program: str | None,
    workers: int | None = None,
    spot: bool = False,
    as_json: bool = False,
) -> int:
    """Print what running a tree in the cloud would take; return the exit code.

    Args:
        root: The tree.
        program: Path of its script, to find earlier launches by; None looks for none.
        workers: At once, at most; None: what the plan allows.
        spot: On Spot.
        as_json: For programs.

    Raises:
        DefinitionError: the cloud cannot run the tree.
    """
    pipeline = _resolved(root)
    workers = _allowed_workers() if workers is None else workers
    found = _estimate(pipeline, program, workers, spot=spot)
    if as_json:
        from conducto_cli.output import as_json as json_of  # noqa: PLC0415

        print(json_of(plan_document(found, workers=workers, spot=spot)))
        return DONE
    for line in plan_lines(found, workers=workers, spot=spot):
        print(line)
    return DONE


def _resolved(root: NodeBase) -> Pipeline:
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only
    from conducto.tree.validate import validate  # noqa: PLC0415
    from conducto_core.semantics.resolve import resolve  # noqa: PLC0415

    validate(root)
    return resolve(to_launch_form(root))


def _estimate(pipeline: Pipeline, program: str | None, workers: int, *, spot: bool) -> Estimate:
    from conducto_core.semantics.asl.estimate import estimate  # noqa: PLC0415
    from conducto_core.semantics.cloud_limits import check_execs  # noqa: PLC0415

    check_execs(pipeline.execs())
    history = {} if program is None else _history(program)
    return estimate(pipeline, history=history, max_workers=workers, spot=spot)


def program_plan(root: NodeBase, program: str | None) -> ProgramPlan:
    """Return the size of a tree, and its cost in the cloud if the cloud can run it.

    Raises:
        DefinitionError: the tree is invalid.
    """
    from conducto.errors import DefinitionError  # noqa: PLC0415
    from conducto_core.model.programs import ProgramPlan  # noqa: PLC0415

    pipeline = _resolved(root)
    commands = sum(1 for _ in pipeline.execs())
    try:
        found = _estimate(pipeline, program, _allowed_workers(), spot=False)
    except DefinitionError as error:
        return ProgramPlan(commands=commands, note=f"The cloud cannot run it: {error}")
    return ProgramPlan(commands=commands, dollars=found.dollars, known=found.known)


def plan_document(found: Estimate, *, workers: int, spot: bool) -> dict[str, object]:
    """Return the document of ``conducto plan --json``: the estimate, in all and for each pool."""
    pools = [{**asdict(pool), "kind": pool.kind.value} for pool in found.pools]
    document = {**asdict(found), "pools": pools, "dollars": found.dollars}
    return {**document, "workers": workers, "spot": spot}


def durations(client: Client, program: str) -> dict[str, float]:
    """Return ``{path: median seconds}`` of what succeeded in a script's newest launches."""
    summaries = [s for s in client.list(text=program) if s.pipeline.program == program]
    known: dict[str, list[float]] = {}
    for summary in summaries[:LAUNCHES]:
        for view in client.tree(summary.pipeline.id, attempts="newest"):
            for attempt in view.attempts:
                succeeded = attempt.state.value == "done"
                if succeeded and attempt.started is not None and attempt.ended is not None:
                    known.setdefault(view.path, []).append(attempt.ended - attempt.started)
    return {path: statistics.median(seconds) for path, seconds in known.items()}


def plan_lines(found: Estimate, *, workers: int, spot: bool) -> Iterator[str]:
    """Yield the lines that tell an estimate."""
    from conducto_cli.output import dollars  # noqa: PLC0415
    from conducto_cli.text.table import table  # noqa: PLC0415
    from conducto_cli.text.text import count_of, printable  # noqa: PLC0415
    from conducto_core.semantics.fargate import PRICES  # noqa: PLC0415

    head = ("IMAGE", "CONTAINERS", "WORKER", "AT ONCE", "EXECS", "TIME", "DOLLARS")
    yield from table([head, *map(_cells, found.pools)])
    yield ""
    how = "on Spot" if spot else "on demand"
    yield (
        f"{count_of(found.execs, 'Exec')}, {count_of(len(found.pools), 'pool')} of workers, at "
        f"most {count_of(workers, 'worker')} each, {how}"
    )
    yield (
        f"{count_of(found.machines, 'state machine')}, "
        f"{count_of(found.transitions, 'state transition')}"
    )
    yield (
        f"{found.cpu_hours:.2f} vCPU-hours: {dollars(found.worker_dollars)} for workers, "
        f"{dollars(found.transition_dollars)} for transitions, "
        f"{dollars(found.request_dollars)} for requests, together {dollars(found.dollars)}"
    )
    yield _assumption(found)
    yield f"prices of {PRICES.date} in {PRICES.region}, before tax; AWS was not asked"
    if found.notes:
        yield ""
        yield from (printable(note) for note in found.notes)


_KINDS = {"many": "shared", "context": "one for its group", "once": "one each"}


def _cells(pool: PoolEstimate) -> tuple[str, ...]:
    from conducto_cli.output import dollars  # noqa: PLC0415
    from conducto_cli.text.text import printable  # noqa: PLC0415
    from conducto_core.model.labels import duration  # noqa: PLC0415

    return (
        printable(pool.image),
        _KINDS[pool.kind.value],
        f"{pool.size.cpu:g} vCPU, {pool.size.mem:g} GB",
        str(pool.workers),
        f"{pool.execs:,}",
        duration(pool.seconds),
        dollars(pool.dollars),
    )


def _assumption(found: Estimate) -> str:
    assumed = found.execs - found.known
    if found.known == 0:
        return f"no earlier run is known: each Exec is taken to run {found.assumed:g} s"
    if assumed == 0:
        return "durations are those of earlier runs"
    return (
        f"durations of {found.known:,} of {found.execs:,} Execs are those of earlier runs; the "
        f"others are taken to run {found.assumed:g} s"
    )


def known_durations(program: str, openers: Sequence[OpenClient]) -> dict[str, float]:
    """Return durations of earlier launches from each target; a later target overrides.

    Args:
        program: Path of the script.
        openers: Make clients; targets that do not respond are skipped.
    """
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto_client import ClientError  # noqa: PLC0415

    known: dict[str, float] = {}
    for opener in openers:
        try:
            with opener() as client:
                known |= durations(client, program)
        except (ClientError, UsageError):
            continue
    return known


def _allowed_workers() -> int:
    """Return how many workers the plan allows that one is logged in with; else the free one."""
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto_cli.cloud_account import account_of  # noqa: PLC0415
    from conducto_client import ClientError  # noqa: PLC0415

    account = account_of()
    if account is None:
        return FREE_WORKERS
    try:
        with account.client() as client:
            return client.who_am_i().max_workers
    except (ClientError, UsageError):
        return FREE_WORKERS


def _history(program: str) -> Mapping[str, float]:
    """Return durations from this machine's agent, if one runs, and from the cloud, if logged in.

    Those of the cloud override: they were measured on the workers of the estimate.
    """
    from conducto_cli.cloud_account import account_of  # noqa: PLC0415
    from conducto_cli.connection import LocalAgent  # noqa: PLC0415
    from conducto_client import Client, HttpTransport  # noqa: PLC0415

    endpoint, account = LocalAgent().find(), account_of()
    openers: list[OpenClient] = []
    if endpoint is not None:
        openers.append(lambda: Client(HttpTransport(endpoint)))
    if account is not None:
        openers.append(account.client)
    return known_durations(str(Path(program).resolve()), openers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conducto plan",
        usage="%(prog)s [--workers N] [--spot] [--json] FILE [METHOD [ARGUMENT ...]]",
        description="Print what a script's pipeline would take and cost in the cloud.",
        epilog="METHOD returns the tree; it may be left out when only one does.",
        allow_abbrev=False,
    )
    _add_options(parser)
    return parser
