"""The verbs that act: orders to a pipeline, and the agent's start and stop."""

import argparse
import time

from conducto.cli.addresses import UsageError, expand, has_wildcard, node_path
from conducto.cli.changes import changes_of
from conducto.cli.connection import DONE, FAILED, LocalAgent, OpenClient, find_pipeline
from conducto.cli.output import as_json
from conducto.cli.view.text import count_of, printable
from conducto.client import ApiError, Client, HttpTransport
from conducto.model.api import WHOLE, Action, AgentStatus, ControlRequest, ControlResult
from conducto.model.states import FAILED as FAILED_STATES
from conducto.model.states import NodeType

_LISTED = 10
_NOT_FOUND = 404
_PAST = {
    Action.RESET: "reset",
    Action.SKIP: "skipped",
    Action.UNSKIP: "unskipped",
    Action.KILL: "killed",
    Action.REBUILD: "reset, to run with images built anew,",
    Action.MODIFY: "modified",
}
_WOULD = {
    Action.RESET: "would reset",
    Action.SKIP: "would skip",
    Action.UNSKIP: "would unskip",
    Action.KILL: "would kill",
    Action.REBUILD: "would build images anew for and reset",
    Action.MODIFY: "would modify",
}


def order(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Carry out the verbs of `conducto.model.api.Action`."""
    action = Action(arguments.verb)
    since = time.time()
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        paths = _paths(client, pipeline_id, action, arguments)
        if paths is None:
            print("nothing failed")
            return DONE
        request = ControlRequest(
            action=action,
            paths=tuple(paths),
            changes=changes_of(arguments) if action is Action.MODIFY else None,
            preview=arguments.dry_run,
        )
        result = _send(client, pipeline_id, request)
    print(_said(action, pipeline_id, result))
    if not arguments.watch:
        return DONE
    from conducto.cli.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=False, since=since)


def _paths(
    client: Client, pipeline_id: str, action: Action, arguments: argparse.Namespace
) -> list[str] | None:
    """Return the nodes an order is about, or None for ``--failed`` when nothing failed."""
    if action in WHOLE:
        return []
    if arguments.failed:
        if arguments.paths:
            raise UsageError("give either paths or --failed, not both")
        return _failed(client, pipeline_id) or None
    if not arguments.paths:
        if action is Action.KILL:
            return ["/"]
        raise UsageError(
            f"say which nodes: conducto {action.value} ID PATH ..., or --failed; '/' is all of them"
        )
    if any(map(has_wildcard, arguments.paths)):
        return expand(arguments.paths, [view.path for view in client.tree(pipeline_id)])
    return [node_path(path) for path in arguments.paths]


def _failed(client: Client, pipeline_id: str) -> list[str]:
    return [
        view.path
        for view in client.tree(pipeline_id)
        if view.type is NodeType.EXEC and view.state in FAILED_STATES and not view.skipped
    ]


def _send(client: Client, pipeline_id: str, request: ControlRequest) -> ControlResult:
    try:
        return client.control(pipeline_id, request)
    except ApiError as error:
        if error.status == _NOT_FOUND:  # names the nearest path, if that is what is wrong
            expand(request.paths, [view.path for view in client.tree(pipeline_id)])
        raise


def _said(action: Action, pipeline_id: str, result: ControlResult) -> str:
    ended = f"; ended {count_of(result.stopped, 'Exec')}" if result.stopped else ""
    match action:
        case Action.RUN:
            return f"running; watch it: conducto show {pipeline_id}"
        case Action.PAUSE:
            return f"paused; go on: conducto run {pipeline_id}"
        case Action.SLEEP:
            return f"asleep{ended}; go on: conducto run {pipeline_id}"
        case Action.WAKE:
            return f"awake; go on: conducto run {pipeline_id}"
        case Action.ARCHIVE:
            return f"archived{ended}; take it back: conducto wake {pipeline_id}"
        case _:
            return _touched(action, result)


def _touched(action: Action, result: ControlResult) -> str:
    if not result.affected:
        return f"nothing to {action.value}"
    said = _WOULD[action] if result.preview else _PAST[action]
    stops = f", {result.stopped:,} of them running" if result.stopped else ""
    lines = [f"{said} {count_of(result.affected, 'Exec')}{stops}"]
    lines += [f"  {printable(path)}" for path in result.paths[:_LISTED]]
    if result.affected > _LISTED:
        lines.append(f"  and {result.affected - _LISTED:,} more")
    lines += [f"note: {note}" for note in result.notes]
    return "\n".join(lines)


def agent(arguments: argparse.Namespace) -> int:
    """Start, stop or describe the agent."""
    local = LocalAgent(arguments.profile)
    if arguments.what == "stop":
        print("agent stopped" if local.stop() else "no agent is running")
        return DONE
    endpoint = local.ensure() if arguments.what == "start" else local.find()
    if endpoint is None:
        none = "no agent is running; the next launch starts it, or: conducto agent start"
        print("null" if arguments.json else none)
        return FAILED
    with Client(HttpTransport(endpoint)) as client:
        status = client.status()
    print(as_json(status.model_dump(mode="json")) if arguments.json else _described(status))
    return DONE


def _described(status: AgentStatus) -> str:
    memory = "" if status.memory is None else f", {status.memory / 2**20:.0f} MB"
    engine = "not used yet" if status.engine is None else status.engine
    return (
        f"agent {status.version} at {status.url}, pid {status.pid}{memory}\n"
        f"engine: {engine}\n"
        f"pipelines: {status.pipelines}"
    )
