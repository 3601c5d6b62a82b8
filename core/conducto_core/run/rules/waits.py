"""The reasons why nodes do not run, for both targets and all clients. No I/O, no clock.

A target finds the reason; the functions here make its sentence, holder and remedy. A new kind is a
member of `conducto_core.run.model.records.WaitKind`, and a function here.
"""

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from conducto_core.approvals.rules import deciders
from conducto_core.billing.rules import BillingPlan, Remedies
from conducto_core.machines.model import MachineClass, Rung
from conducto_core.run.model.labels import duration
from conducto_core.run.model.records import ImageRecord, Lifecycle, PipelineRecord, Wait
from conducto_core.run.model.states import FAILED, State
from conducto_core.run.rules.contexts import lost_state
from conducto_core.run.rules.failures import expired_above
from conducto_core.run.rules.live_nodes import LiveExec, LiveNode
from conducto_core.tree.model import ancestors
from conducto_core.tree.rules.callbacks import owner_of
from conducto_core.workers.rules.fargate import USUAL_START
from conducto_core.workers.rules.placement import MAX_PLACING
from conducto_core.workers.rules.pools import Claimant, place_in_line, served
from conducto_core.workers.rules.start_failures import remedy_for, with_remedy

#: The wait of an attempt for which nothing else is known.
NEXT = Wait("next in the queue", "turn")


def why_queued(
    record: PipelineRecord, node: LiveNode, since: float | None, reasons: Iterable[Wait | None]
) -> Wait:
    """Return the wait of a queued attempt.

    Args:
        record: Its pipeline.
        node: Its Exec.
        since: When it was queued, in seconds since the epoch.
        reasons: Those that its target finds, in the order in which they hold it back; only the
            first one is read.
    """
    approval = node.spec.approval
    if approval is not None:
        who = deciders(approval)
        how = f"decide it: {_command('approve', record.id, node.path)}"
        return Wait(f"waits for the approval of {who}", "approval", since, who, how)
    found = next((each for each in reasons if each is not None), NEXT)
    return found._replace(since=since)


def why_pending(
    record: PipelineRecord, nodes: Mapping[str, LiveNode], node: LiveNode, now: float
) -> Wait | None:
    """Return the reason why a pending node does not run; None for a node that is due."""
    if node.state is not State.PENDING:
        return None
    if node.skipped or any(nodes[path].skipped for path in ancestors(node.path)):
        return Wait("skipped")
    if not record.armed:
        return _unstarted(record)
    if isinstance(node, LiveExec) and node.retry_at is not None:
        left = max(1.0, node.retry_at - now)
        rerun = f"retry it now: {_command('rerun', record.id, node.path)}"
        text = f"retries in {duration(left)}"
        return Wait(text, "retry", remedy=rerun, until=node.retry_at)
    return _held_by(record, node)


def _unstarted(record: PipelineRecord) -> Wait:
    """Return the reason why a pipeline does not run."""
    if record.lifecycle is not Lifecycle.ACTIVE:
        return Wait(record.lifecycle.value, remedy=f"wake it: {_command('wake', record.id)}")
    start = f"start it: {_command('run', record.id)}"
    if record.problem is not None:
        return Wait(f"paused: {record.problem}", remedy=start)
    if record.run_at is not None:
        return Wait(f"starts {_when(record.run_at)}", "schedule", record.created, remedy=start)
    return Wait("not running", remedy=start)


def _held_by(record: PipelineRecord, node: LiveNode) -> Wait | None:
    """Return the group that timed out, or the earlier sibling that a Serial waits for."""
    expired = expired_above(node)
    if expired is not None:
        rerun = f"reset it: {_command('rerun', record.id, expired.path)}"
        return Wait(f"max_time of {expired.path} ran out", holder=expired.path, remedy=rerun)
    group = node.parent
    while group is not None:
        first = group.tally.first_holding()
        if first is not None and first < node.position:
            holding = group.children[first]
            text = f"waits for {holding.path}"
            if holding.state not in FAILED:
                return Wait(text, "turn", holder=holding.path)
            rerun = f"reset or skip it: {_command('rerun', record.id, holding.path)}"
            return Wait(f"{text}, which failed", "turn", holder=holding.path, remedy=rerun)
        node, group = group, group.parent
    return None


def image(record: PipelineRecord, waited_for: ImageRecord) -> Wait:
    """Return the wait for an image that is not built."""
    why = "" if waited_for.error is None else f": {waited_for.error}"
    log = f"read its build: {_command('logs', record.id, '--image', waited_for.name)}"
    text = f"image {waited_for.name} is {waited_for.state.value}{why}"
    return Wait(text, "image", holder=waited_for.name, remedy=log)


def full_group(group: str, maximum: int) -> Wait:
    """Return the wait for a place in a group with ``max_concurrent``."""
    text = f"max_concurrent={maximum} of {group} is reached"
    return Wait(text, "turn", holder=group, remedy="raise the group's max_concurrent")


def budget(record: PipelineRecord, path: str, why: str) -> Wait:
    """Return the wait for a higher budget of a node."""
    raise_it = f"raise it: {_command('modify', record.id, path, '--budget')} DOLLARS"
    return Wait(why, "budget", holder=path, remedy=raise_it)


def busy_container(pool: str) -> Wait:
    """Return the wait for the one container of a ``new`` group."""
    group = owner_of(pool)
    return Wait(f"the container of {group} runs one command at a time", "turn", holder=group)


def same_command(holder: str) -> Wait:
    """Return the wait for the outcome of an equal command."""
    text = f"waits for the same command in {holder}"
    return Wait(text, "same_command", holder=holder, remedy="its outcome will be in the cache")


def limit_held(name: str, holders: str) -> Wait:
    """Return the wait for a named limit that other commands hold."""
    text = f"waiting for limit {name}, held by {holders}"
    return Wait(text, "limit", holder=holders, remedy="it starts when a holder ends")


def limit_line(name: str, first: str) -> Wait:
    """Return the wait for a named limit for which another command is first in line."""
    return Wait(f"waiting for limit {name}, after {first}", "limit", holder=first)


def limit_contended(name: str) -> Wait:
    """Return the wait for a named limit that too many commands request at once."""
    return Wait(f"waiting for limit {name}, which many commands request", "limit")


def full_machine(need: str, free: str) -> Wait:
    """Return the wait for CPUs and memory of the machine."""
    remedy = "it starts when running commands have ended; or lower its cpu or mem"
    return Wait(f"needs {need}; {free} are free", "turn", remedy=remedy)


def open_files(files: int, commands: int) -> Wait:
    """Return the wait for a command to end, as each needs open files of the agent."""
    text = f"the agent may open {files} files: {commands} commands at once"
    return Wait(text, "turn", remedy="raise the agent's limit of open files (ulimit -n)")


def starting(what: str, rounds: int = 0, reason: str = "") -> Wait:
    """Return the wait for a container or worker that starts, after ``rounds`` failures."""
    again = f", retry {rounds}: {with_remedy(reason)}" if rounds else ""
    return Wait(f"{what} is starting{again}", "start")


def starting_worker(rounds: int = 0, reason: str = "") -> Wait:
    """Return the wait for a worker of the cloud that starts, with the time that it takes."""
    wait = starting("a worker", rounds, reason)
    if rounds:
        return wait
    why = (
        f"{USUAL_START}; without a machine after {MAX_PLACING / 60:g} minutes, another one is "
        "requested"
    )
    return wait._replace(text=f"{wait.text}: {why}")


def next_rung(machine: MachineClass | None, rung: Rung, hour: float) -> str:
    """Return a rung of the placement ladder with its price: ``Fargate on Spot, $0.02 an hour``."""
    where = "Fargate" if machine is None else f"machine={machine.name!r}"
    return f"{where} {rung.label}, ${hour:.3g} an hour"


def starting_after(rung: str, reason: str) -> Wait:
    """Return the wait for a worker that starts on the next rung, after another had no machine."""
    return Wait(f"a worker is starting: {rung}; before, AWS reported {reason!r}", "start")


def no_capacity(reason: str, rung: str, until: float, fails: float | None) -> Wait:
    """Return the wait for a machine that AWS does not have.

    Args:
        reason: The last reason of AWS.
        rung: That of the next launch, as `next_rung` returns it.
        until: When that is, in seconds since the epoch.
        fails: When the command fails; None: capacity of the organisation may become free.
    """
    end = "" if fails is None else f"; without a machine, it fails {_after(fails)}"
    text = f"AWS has no machine, it reported {reason!r}; next: {rung}, {_after(until)}{end}"
    remedy = remedy_for(reason) or "wait, or allow other machines: spot=, machine=, cpu= and mem="
    return Wait(text, "capacity", holder="AWS", remedy=remedy, until=until)


def refused_worker(reason: str, until: float) -> Wait:
    """Return the wait for a worker that AWS did not start."""
    text = f"waiting for a worker: AWS reported {reason!r}; the next launch is {_after(until)}"
    return Wait(text, "workers", holder="AWS", remedy=remedy_for(reason) or None)


def shared_workers(
    why: Wait, claimants: Mapping[str, Claimant], pipeline: str, maximum: int
) -> Wait:
    """Return a wait for workers of a plan with the place in line, if others have workers."""
    place = place_in_line(claimants, pipeline, maximum)
    if place is None:
        return why
    holders = ", ".join(served(claimants, pipeline)) or None
    return why._replace(text=f"{place}: {why.text}", kind="workers", holder=holders)


def plan_workers(plan: BillingPlan, others: int, larger: str) -> Wait:
    """Return the wait at a plan's maximum of workers, of which ``others`` are used elsewhere."""
    elsewhere = f", of which other pipelines and debug shells use {others}" if others else ""
    text = f"{_allows(plan)}{elsewhere}"
    return Wait(
        text, "plan", holder=f"plan {plan.name}", remedy=f"wait for a free worker, {larger}"
    )


def plan_reserved(plan: BillingPlan, reserved: int, larger: str) -> Wait:
    """Return the wait for workers that ``new`` groups have reserved."""
    text = (
        f"{_allows(plan)}, and {reserved} are reserved so that the container_reuse_context=NEW "
        "groups that have started can finish"
    )
    remedy = f"this group starts when one of them has finished, {larger}"
    return Wait(text, "plan", holder=f"plan {plan.name}", remedy=remedy)


def plan_minutes(plan: BillingPlan, used: float, remedies: Remedies) -> Wait:
    """Return the wait for the next month's worker minutes."""
    text = (
        f"the plan {plan.name!r} allows {plan.exec_minutes:g} worker minutes per month, "
        f"{used:.0f} are used, so commands do not start"
    )
    remedy = f"wait for the next month, {remedies.larger_plan()}, or run it locally"
    return Wait(text, "plan", holder=f"plan {plan.name}", remedy=remedy)


def spend_limit(limit: float | None, remedies: Remedies) -> Wait:
    """Return the wait of an organisation at its spend limit."""
    text = (
        f"the spend limit of ${limit or 0:,.2f} for this billing period is reached, so no worker "
        "and no command starts"
    )
    return Wait(text, "spend_limit", holder="the spend limit", remedy=remedies.higher_limit())


def lost_context(record: PipelineRecord, pool: str, why: str) -> Wait:
    """Return the reason of a group whose container is lost, with its state."""
    group = owner_of(pool) or "/"
    rerun = f"run the group again: {_command('rerun', record.id, group)}"
    return Wait(lost_state(pool, why), holder=group, remedy=rerun)


def _allows(plan: BillingPlan) -> str:
    return f"the plan {plan.name!r} allows {plan.max_workers} workers at once"


def _command(name: str, *words: str) -> str:
    return f"conducto {name} {shlex.join(words)}"


def _after(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):after %H:%M UTC}"


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):at %Y-%m-%d %H:%M UTC}"
