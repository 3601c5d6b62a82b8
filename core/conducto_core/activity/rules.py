"""The groups of waiting commands. No I/O."""

from collections.abc import Iterable, Sequence

from conducto_core.activity.model import (
    NAMED_COMMANDS,
    Activity,
    RunningCommand,
    WaitGroup,
    WaitingCommand,
)
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import State

#: A node of a pipeline.
Found = tuple[PipelineSummary, NodeView]


def activity_of(
    summaries: Sequence[PipelineSummary],
    running: Iterable[RunningCommand],
    queued: Sequence[Found],
    limit: int,
    *,
    complete: bool,
) -> Activity:
    """Return the activity of pipelines in progress.

    Args:
        summaries: These pipelines.
        running: Their running commands, or the first of each.
        queued: Their waiting commands, or the first of each; pending ones wait for a retry.
        limit: Maximum number of running commands in the response.
        complete: Whether these are all pipelines in progress.
    """
    workers = [each.workers for each in summaries if each.workers is not None]
    retrying = sum(node.state is State.PENDING for _, node in queued)
    used = [each.cpu_used for each in workers if each.cpu_used is not None]
    there = [each.cpu for each in workers if each.cpu is not None]
    return Activity(
        pipelines=len(summaries),
        running=sum(each.counts.running for each in summaries),
        queued=sum(each.counts.queued for each in summaries) + retrying,
        pending=sum(each.counts.pending for each in summaries) - retrying,
        cpu_used=max(used, default=None),  # each pipeline has the sum of its machine
        cpu=max(there, default=None),
        workers=sum(each.busy for each in workers),
        workers_idle=sum(each.idle + each.starting for each in workers),
        commands=tuple(sorted(running, key=_longest_first)[:limit]),
        waits=tuple(wait_groups(queued)),
        read=len(queued),
        complete=complete,
    )


def _longest_first(command: RunningCommand) -> tuple[float, str]:
    return command.started, command.path


def running_command(summary: PipelineSummary, node: NodeView) -> RunningCommand | None:
    """Return a running command; None if its newest attempt has not started."""
    attempt = node.attempts[-1] if node.attempts else None
    if attempt is None or attempt.started is None:
        return None
    return RunningCommand(
        pipeline=summary.pipeline.id,
        title=summary.pipeline.title,
        path=node.path,
        attempt=attempt.number,
        started=attempt.started,
        cpu=node.cpu,
        mem=node.mem,
    )


def wait_groups(queued: Iterable[Found]) -> list[WaitGroup]:
    """Return the reasons of waiting commands, the approvals and then the most frequent first.

    A reason that names a holder, such as a group or a limit, is one whatever the sentence says, and
    so are the retries of a pipeline, the next one first.
    """
    found: dict[tuple[str | None, str], list[Found]] = {}
    for summary, node in queued:
        text = _text(node)
        what = text if node.wait_holder is None or node.approval is not None else node.wait_holder
        if node.wait_kind == "retry":
            what = "/"
        # The nodes of a pipeline are holders within it, other holders are in common.
        where = summary.pipeline.id if what.startswith("/") else ""
        found.setdefault((node.wait_kind, f"{where} {what}"), []).append((summary, node))
    groups = [_group(nodes) for nodes in found.values()]
    return sorted(groups, key=lambda group: (group.kind != "approval", -group.count, group.text))


def _text(node: NodeView) -> str:
    """Return the question of an approval, otherwise the reason of a wait."""
    if node.approval is not None:
        return node.approval.message
    if node.wait_kind == "retry":  # the sentence of one command has its own time
        return "waiting for a retry, after a failure"
    return node.waits_for or "next in the queue"


def _group(nodes: Sequence[Found]) -> WaitGroup:
    nodes = sorted(nodes, key=lambda found: found[1].wait_until or 0.0)
    first = nodes[0][1]
    times = [node.wait_since for _, node in nodes if node.wait_since is not None]
    return WaitGroup(
        kind=first.wait_kind,
        text=_text(first),
        holder=first.wait_holder,
        remedy=first.wait_remedy,
        since=min(times, default=None),
        until=min((node.wait_until for _, node in nodes if node.wait_until), default=None),
        count=len(nodes),
        first=tuple(
            WaitingCommand(pipeline=summary.pipeline.id, path=node.path, until=node.wait_until)
            for summary, node in nodes[:NAMED_COMMANDS]
        ),
    )
