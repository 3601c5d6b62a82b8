"""The verbs that act: orders to a pipeline."""

import argparse
import time

from conducto.cli.host import selection
from conducto.cli.host.addresses import UsageError, expand
from conducto.cli.host.changes import changes_of
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE, FAILED
from conducto.cli.host.output import as_json, order_document
from conducto.cli.host.view.text import count_of, printable
from conducto.client import ApiError, Client
from conducto.model import states
from conducto.model.api import WHOLE, Action, ControlRequest, ControlResult

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


#: After which Execs may start that would not have.
_MAKES_WORK = {Action.RESET, Action.REBUILD, Action.SKIP, Action.UNSKIP}


def order(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Carry out the verbs of `conducto.model.api.Action`."""
    action = Action(arguments.verb)
    _check(action, arguments)
    changes = changes_of(arguments) if action is Action.MODIFY else None
    since = time.time()
    with open_client() as client:
        before = find_pipeline(client, arguments.id)
        record = before.pipeline
        pipeline_id = record.id
        paths = _paths(client, pipeline_id, action, arguments)
        request = ControlRequest(
            action=action,
            paths=tuple(paths),
            failed=arguments.failed,
            changes=changes,
            preview=arguments.dry_run,
        )
        if action is Action.REBUILD:
            from conducto.cli.host.cloud_rebuild import with_sources  # noqa: PLC0415

            request = with_sources(client, pipeline_id, request)
        result = _send(client, pipeline_id, request)
    nothing_failed = request.failed and not result.affected
    if arguments.json:
        print(as_json(order_document(action, pipeline_id, result)))
    else:
        print("nothing failed" if nothing_failed else said(action, pipeline_id, result))
        waits = action in _MAKES_WORK and result.affected and not result.preview
        if waits and not record.armed and not arguments.watch:  # who watches is told at the end
            print(f"nothing starts while it is paused; go on: conducto run {pipeline_id}")
    if nothing_failed or not arguments.watch:
        starts_nothing = action is Action.RUN and result.notes
        return FAILED if starts_nothing and before.state in states.FAILED else DONE
    from conducto.cli.host.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=False, since=since)


def _check(action: Action, arguments: argparse.Namespace) -> None:
    """Refuse an order that does not say what it is about."""
    if arguments.failed and arguments.paths:
        raise UsageError("give either paths or --failed, not both")
    if arguments.watch and (arguments.json or arguments.dry_run):
        other = "--json" if arguments.json else "--dry-run"
        raise UsageError(f"give either --watch or {other}, not both")
    if action in WHOLE or action is Action.KILL or arguments.failed or arguments.paths:
        return
    failed = "" if action is Action.UNSKIP else ", or --failed"
    raise UsageError(
        f"say which nodes: conducto {action.value} ID PATH ...{failed}; '/' is all of them"
    )


def _paths(
    client: Client, pipeline_id: str, action: Action, arguments: argparse.Namespace
) -> list[str]:
    """Return the nodes that an order names; the server knows which ones failed."""
    if action in WHOLE or arguments.failed:
        return []
    return selection.several(client, pipeline_id, arguments.paths or ["/"])


def _send(client: Client, pipeline_id: str, request: ControlRequest) -> ControlResult:
    try:
        return client.control(pipeline_id, request)
    except ApiError as error:
        if error.status == _NOT_FOUND:  # names the nearest path, if that is what is wrong
            expand(request.paths, selection.all_paths(client, pipeline_id))
        raise


def said(action: Action, pipeline_id: str, result: ControlResult) -> str:
    """Return what a person reads of an order that was carried out."""
    ended = f"; ended {count_of(result.stopped, 'Exec')}" if result.stopped else ""
    match action:
        case Action.RUN:
            running = (f"running; watch it: conducto show {pipeline_id}",)
            return "\n".join(map(printable, result.notes or running))  # a note: nothing starts
        case Action.PAUSE:
            return "\n".join([f"paused; go on: conducto run {pipeline_id}", *result.notes])
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
    lines += [f"note: {printable(note)}" for note in result.notes]
    return "\n".join(lines)
