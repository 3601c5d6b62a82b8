"""``--plan`` and ``conducto plan``: what a launch in the cloud would take, without asking AWS.

Durations are those of a file, or else those of earlier launches, which the agent and the cloud
installation are asked for.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_method
from conducto_cli.app.exit import DONE, USAGE
from conducto_cli.launch.known_runs import (
    Known,
    Made,
    given_durations,
    known_memory,
    known_runs,
    openers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase
    from conducto.wire.shards import Prediction
    from conducto_core.api.cloud_operations import WhoAmI
    from conducto_core.asl.rules.forecast import Estimate, PoolEstimate
    from conducto_core.billing.rules import Rates
    from conducto_core.machines.model import MemoryUses
    from conducto_core.programs.model import ProgramPlan
    from conducto_core.tree.model import Pipeline
    from conducto_core.workers.model import WarmPool
    from conducto_core.workers.rules.fargate import Size

#: Workers at once of the free plan.
FREE_WORKERS = 2
#: Maximum number of nodes of a tree whose price is printed before its launch.
MAX_PRICED = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_options(parser)
    add_method(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(1, 1001),
        metavar="N",
        help="workers at once, at most (default: those of the plan that you are logged in with, "
        "else 2, as the free plan has)",
    )
    parser.add_argument(
        "--durations",
        metavar="FILE",
        help="JSON with the seconds of commands, {PATH: SECONDS}, instead of those of earlier runs",
    )
    parser.add_argument(
        "--cloud",
        action="store_true",
        help="the decisions about cached commands are those of the cloud (default: of the agent)",
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
    from conducto.tree.launch import LaunchOptions  # noqa: PLC0415
    from conducto_cli.launch.script import root_and_call  # noqa: PLC0415

    try:
        root, call = root_and_call(options.file, words)
        return print_plan(
            root,
            LaunchOptions(argv=[options.file], call=call),
            "cloud" if options.cloud else "local",
            workers=options.workers,
            spot=options.spot,
            as_json=options.json,
            durations=options.durations,
        )
    except Exception as error:
        if user_errors.debugging():
            raise
        return user_errors.report(error, Path(options.file).name)


def print_plan(
    root: NodeBase,
    options: LaunchOptions,
    target: str,
    *,
    workers: int | None = None,
    spot: bool = False,
    as_json: bool = False,
    durations: str | None = None,
) -> int:
    """Print what running a tree in the cloud would take; return the exit code.

    Args:
        options: Those of its launch. Earlier launches are found by the script and the call.
        target: ``local`` or ``cloud``, whose cache decides.
        workers: At once, at most; None: what the plan allows.
        durations: A JSON file with the seconds of commands, instead of those of earlier launches.

    Raises:
        DefinitionError: the cloud, or the plan of the account, cannot run the tree.
        UsageError: the file cannot be read.
    """
    from conducto.shards import predicted  # noqa: PLC0415
    from conducto_cli.cache.plan import planned_cache  # noqa: PLC0415
    from conducto_core.programs.rules.programs import made_by  # noqa: PLC0415

    account = _account()
    program = options.argv[0] if options.argv else None
    made = None if options.call is None else made_by(options.call)
    pipeline = _resolved(root, account, program, made)
    cached = planned_cache(root, pipeline, options, target)
    workers = _allowed_workers(account) if workers is None else workers
    known = _agent_durations(program, made) if durations is None else given_durations(durations)
    found = _estimate(pipeline, known, account, workers, spot=spot)
    if as_json:
        from conducto_cli.app.output import as_json as json_of  # noqa: PLC0415

        document = plan_document(found, known, workers=workers, spot=spot, account=account)
        document["cache"] = None if cached is None else cached.document()
        print(json_of({**document, "shards": [each._asdict() for each in predicted]}))
        return DONE
    for line in plan_lines(found, known, workers=workers, spot=spot, account=account):
        print(line)
    for each in predicted:
        print(shards_line(each))
    for line in () if cached is None else ("", *cached.lines()):
        print(line)
    return DONE


def shards_line(one: Prediction) -> str:
    """Return the line about a call of `co.shard`."""
    from conducto_cli.text.text import count_of  # noqa: PLC0415
    from conducto_core.run.model.labels import duration  # noqa: PLC0415

    if one.seconds is None:
        return (
            f"{count_of(one.parts, 'shard')} of {count_of(one.files, 'file')}: no times known yet"
        )
    return f"{count_of(one.parts, 'shard')}, longest about {duration(one.seconds)}"


def _resolved(
    root: NodeBase, account: WhoAmI | None, program: str | None, made: Made | None
) -> Pipeline:
    """Return a tree with the machine classes and the memory by history of the account."""
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only
    from conducto.tree.validate import validate  # noqa: PLC0415
    from conducto_core.machines.rules import MACHINES_PART  # noqa: PLC0415
    from conducto_core.programs.rules.memory import (  # noqa: PLC0415
        MEMORY_PART,
        asks_for_history,
        written_uses,
    )
    from conducto_core.tree.rules.resolve import resolve  # noqa: PLC0415

    validate(root)
    form = to_launch_form(root)
    if account is not None:
        form = {**form, MACHINES_PART: dict(enumerate(account.machines))}
    if asks_for_history(form):
        form = {**form, MEMORY_PART: written_uses(_known_memory(root, program, made))}
    return resolve(form)


def _known_memory(root: NodeBase, program: str | None, made: Made | None) -> MemoryUses:
    """Return the use of memory in the cloud, if the user is logged in, or else locally."""
    from conducto_core.machines.model import MemoryUses  # noqa: PLC0415
    from conducto_core.run.model.params import ProgramParams  # noqa: PLC0415

    if made is not None and program is not None:
        query = ProgramParams(program=str(Path(program).resolve()), function=made[0])
    elif root.title:
        query = ProgramParams(title=root.title)
    else:
        return MemoryUses()
    return known_memory(query, openers())


def _estimate(
    pipeline: Pipeline, known: Known, account: WhoAmI | None, workers: int, *, spot: bool
) -> Estimate:
    from conducto_core.asl.rules.forecast import estimate  # noqa: PLC0415
    from conducto_core.limits.rules import check_account, check_execs  # noqa: PLC0415

    if account is None:
        check_execs(pipeline.execs())
    else:
        check_account(
            pipeline.nodes,
            account.plan,
            max_workers=account.max_workers,
            max_cpu=account.max_cpu,
        )
    runs = [run.seconds for run in known.runs]
    return estimate(pipeline, history=known.seconds, runs=runs, max_workers=workers, spot=spot)


def launch_price(root: NodeBase, program: str | None, made: Made | None) -> str | None:
    """Return the line about the price of a launch in the cloud; None for a tree without one.

    A tree that is too large or invalid has none: the cloud reports the error.
    """
    from conducto.errors import DefinitionError  # noqa: PLC0415
    from conducto_core.asl.rules.forecast import price_range  # noqa: PLC0415
    from conducto_core.budgets.rules import price_line  # noqa: PLC0415

    try:
        account = _account()
        pipeline = _resolved(root, account, program, made)
        if len(pipeline.nodes) > MAX_PRICED:
            return None
        runs = [run.seconds for run in _agent_durations(program, made).runs]
        workers, rates = _allowed_workers(account), _rates(account)
        cost = price_range(pipeline, runs, workers)
        price = None if rates is None else price_range(pipeline, runs, workers, rates)
    except DefinitionError:
        return None
    budget = pipeline.root.budget
    if budget is None and account is not None:
        budget = account.budget
    return price_line(cost, budget, price)


def program_plan(root: NodeBase, program: str | None, made: Made | None = None) -> ProgramPlan:
    """Return the size of a tree, and its cost in the cloud if the cloud can run it.

    Raises:
        DefinitionError: the tree is invalid.
    """
    from conducto.errors import DefinitionError  # noqa: PLC0415
    from conducto_core.programs.model import ProgramPlan  # noqa: PLC0415

    account = _account()
    pipeline = _resolved(root, account, program, made)
    commands = sum(1 for _ in pipeline.execs())
    try:
        known, workers = _agent_durations(program, made), _allowed_workers(account)
        found = _estimate(pipeline, known, account, workers, spot=False)
    except DefinitionError as error:
        return ProgramPlan(commands=commands, note=f"The cloud cannot run it: {error}")
    price = customer_price(found, account)
    return ProgramPlan(commands=commands, dollars=found.dollars, price=price, known=found.known)


def plan_document(
    found: Estimate, known: Known, *, workers: int, spot: bool, account: WhoAmI | None = None
) -> dict[str, object]:
    """Return the document of ``conducto plan --json``: the estimate, in all and for each pool.

    Args:
        known: The durations that it is based on.
        workers: At once, at most.
        account: Its warm pool and prices count; None: it is not known.
    """
    from conducto_core.asl.rules.forecast import first_command  # noqa: PLC0415

    pools = [{**asdict(pool), "kind": pool.kind.value} for pool in found.pools]
    document = {**asdict(found), "pools": pools, "dollars": found.dollars}
    runs = [run.id for run in known.runs]
    document |= {"workers": workers, "spot": spot, "runs": runs}
    document["price"] = customer_price(found, account)
    document["first_command_seconds"], _ = first_command(found.execs)
    if account is not None and (warm := account.warm) is not None:
        price = warm_price(found, warm, spot=spot)
        document["warm_pool"] = {**warm.model_dump(mode="json"), **asdict(price)}
    return document


def customer_price(found: Estimate, account: WhoAmI | None) -> float | None:
    """Return the price of the workers for the organisation; None: nothing is billed."""
    rates = _rates(account)
    return None if rates is None else found.price(rates)


def _rates(account: WhoAmI | None) -> Rates | None:
    from conducto_core.billing.rules import Rates  # noqa: PLC0415

    if account is None or account.vcpu_hour is None or account.gb_hour is None:
        return None
    return Rates(account.vcpu_hour, account.gb_hour)


@dataclass(frozen=True)
class WarmPrice:
    """The maximum price of the workers that stay after a run, in dollars.

    Attributes:
        workers: How many stay at most.
        hourly: Their price per hour.
        after_run: Their price for the time that they stay.
    """

    workers: int
    hourly: float
    after_run: float


def warm_price(found: Estimate, warm: WarmPool, *, spot: bool) -> WarmPrice:
    from conducto_core.tree.rules.callbacks import PoolKind  # noqa: PLC0415
    from conducto_core.workers.rules.pools import hourly_price  # noqa: PLC0415

    sizes = [(pool.size, pool.workers) for pool in found.pools if pool.kind is PoolKind.MANY]
    workers = min(warm.workers, sum(number for _, number in sizes))
    hourly = hourly_price(sizes, warm.workers, spot=spot)
    return WarmPrice(workers, hourly, hourly * warm.seconds / 3600)


def plan_lines(
    found: Estimate, known: Known, *, workers: int, spot: bool, account: WhoAmI | None = None
) -> Iterator[str]:
    """Yield the lines that tell an estimate; the arguments are those of `plan_document`."""
    from conducto_cli.text.text import (  # noqa: PLC0415
        count_of,
        printable,
        table,
    )
    from conducto_core.asl.rules.forecast import first_command  # noqa: PLC0415
    from conducto_core.run.model.labels import in_dollars  # noqa: PLC0415
    from conducto_core.workers.rules.fargate import PRICES  # noqa: PLC0415

    head = ("IMAGE", "CONTAINERS", "WORKER", "AT ONCE", "EXECS", "TIME", "DOLLARS")
    yield from table([head, *map(_cells, found.pools)])
    yield ""
    how = "on Spot" if spot else "on demand"
    yield (
        f"{count_of(found.execs, 'Exec')}, {count_of(len(found.pools), 'pool')} of workers, at "
        f"most {count_of(workers, 'worker')} at once, {how}"
    )
    seconds, why = first_command(found.execs)
    yield f"first command after about {seconds:.0f} s: {why}"
    yield (
        f"{count_of(found.machines, 'state machine')}, "
        f"{count_of(found.transitions, 'state transition')}"
    )
    yield (
        f"{found.cpu_hours:.2f} vCPU-hours: {in_dollars(found.worker_dollars)} for workers, "
        f"{in_dollars(found.transition_dollars)} for transitions, "
        f"{in_dollars(found.request_dollars)} for requests, together {in_dollars(found.dollars)}"
    )
    price = customer_price(found, account)
    if account is not None and price is not None:
        yield (
            f"{account.org} pays {in_dollars(price)}, for workers only; the other amounts are "
            "AWS's prices"
        )
    warm = None if account is None else account.warm
    if warm is not None and (stay := warm_price(found, warm, spot=spot)).workers:
        yield (
            f"warm pool: up to {count_of(stay.workers, 'worker')} may stay "
            f"{warm.seconds / 60:g} minutes for a rerun: {in_dollars(stay.hourly)} an hour, at "
            f"most {in_dollars(stay.after_run)} after each run, not included above"
        )
    yield from _basis(found, known)
    yield (
        "not included: storage, and reading and writing of files "
        f"({in_dollars(PRICES.file_read)} and {in_dollars(PRICES.file_write)} a GB)"
    )
    yield f"prices of {PRICES.date} in {PRICES.region}, before tax; AWS was not asked"
    if found.notes:
        yield ""
        yield from (printable(note) for note in found.notes)


_KINDS = {"many": "shared", "context": "one for its group", "once": "one each"}


def _size_text(size: Size) -> str:
    gpus = f", {size.gpu} GPU" if size.gpu else ""
    arch = ", ARM" if size.arch else ""
    machine = f" ({size.machine})" if size.machine else ""
    return f"{size.cpu:g} vCPU, {size.mem:.4g} GB{gpus}{arch}{machine}"


def _cells(pool: PoolEstimate) -> tuple[str, ...]:
    from conducto_cli.text.text import printable  # noqa: PLC0415
    from conducto_core.run.model.labels import duration, in_dollars  # noqa: PLC0415

    return (
        printable(pool.image),
        _KINDS[pool.kind.value],
        _size_text(pool.size),
        str(pool.workers),
        f"{pool.execs:,}",
        duration(pool.seconds),
        in_dollars(pool.dollars),
    )


def _basis(found: Estimate, known: Known) -> Iterator[str]:
    """Yield the sources of durations, and the range of costs of earlier runs."""
    from conducto_cli.text.text import count_of  # noqa: PLC0415
    from conducto_core.run.model.labels import in_dollars  # noqa: PLC0415

    same = "medians of earlier runs with these parameters"
    source = "those of the file" if known.given else same
    if found.known == 0:
        nothing = (
            "the file names none of them"
            if known.given
            else "no earlier run with these parameters is known"
        )
        yield f"{nothing}: each Exec is taken to run {found.assumed:g} s"
    elif found.known == found.execs:
        yield f"durations are {source}"
    else:
        yield (
            f"durations of {found.known:,} of {found.execs:,} Execs are {source}; the others are "
            f"taken to run {found.assumed:g} s"
        )
    if found.low is None or found.high is None or found.known == 0:
        return
    runs = ", ".join(f"{run.id} ({_date(run.created)})" for run in known.runs)
    yield (
        f"with the durations of {count_of(len(known.runs), 'earlier run')}: "
        f"{_range(in_dollars(found.low), in_dollars(found.high))}; based on {runs}"
    )


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _date(created: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(created))


def _account() -> WhoAmI | None:
    """Return the account that one is logged in with, or None if it cannot be asked for."""
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto_cli.target.account import account_of  # noqa: PLC0415
    from conducto_client import ClientError  # noqa: PLC0415

    account = account_of()
    if account is None:
        return None
    try:
        with account.client() as client:
            return client.who_am_i()
    except (ClientError, UsageError):
        return None


def _allowed_workers(account: WhoAmI | None) -> int:
    return FREE_WORKERS if account is None else account.max_workers


def _agent_durations(program: str | None, made: Made | None) -> Known:
    """Return durations from this machine's agent, if one runs, and from the cloud, if logged in.

    Those of the cloud override: they were measured on the workers of the estimate.
    """
    if program is None:
        return Known()
    return known_runs(str(Path(program).resolve()), openers(), made)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conducto plan",
        usage="%(prog)s [--workers N] [--durations FILE] [--spot] [--json] FILE "
        "[METHOD [ARGUMENT ...]]",
        description="Print what a script's pipeline would take and cost in the cloud.",
        epilog="METHOD returns the tree; it may be left out when only one does.",
        allow_abbrev=False,
    )
    _add_options(parser)
    return parser
