"""The verbs that act: orders to a pipeline."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from conducto_cli import selection
from conducto_cli.arguments import PATHS_HELP, add_id, add_json, add_verb
from conducto_cli.connection import OpenClient, find_pipeline
from conducto_cli.exit_codes import DONE, FAILED
from conducto_cli.modify_options import changes_of
from conducto_cli.output import as_json, order_document
from conducto_cli.references import UsageError, expand
from conducto_cli.text.action_text import said
from conducto_client import ApiError, Client
from conducto_core.model import states
from conducto_core.model.requests import WHOLE, Action, ControlRequest, ControlResult

if TYPE_CHECKING:
    import argparse

    from conducto_cli.arguments import Verbs
from conducto_cli.modify_options import _add_changes

_NOT_FOUND = 404


#: After which Execs may start that would not have.
_MAKES_WORK = {Action.RESET, Action.REBUILD, Action.SKIP, Action.UNSKIP}


def order(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Carry out the verbs of `conducto_core.model.requests.Action`."""
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
            from conducto_cli.launch.cloud import with_sources  # noqa: PLC0415

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
    from conducto_cli.view.session import stay  # noqa: PLC0415

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


def add_orders(verbs: Verbs) -> None:
    """Add the orders to pipelines and nodes."""
    run = add_verb(verbs, "run", "start a pending or paused pipeline")
    pause = add_verb(verbs, "pause", "start nothing more; what runs may end")
    reset = add_verb(
        verbs,
        "reset",
        "run nodes again",
        "Other nodes keep their results; earlier attempts and their output are kept.",
    )
    skip = add_verb(verbs, "skip", "leave nodes out, as if they were done")
    unskip = add_verb(verbs, "unskip", "take skipped nodes in again")
    kill = add_verb(verbs, "kill", "kill what runs", "Without a PATH: everything.")
    rebuild = add_verb(
        verbs,
        "rebuild",
        "build the images of nodes anew, with the code as it is now, and run the nodes again",
    )
    modify = add_verb(
        verbs,
        "modify",
        "change parameters of nodes in this pipeline, not in its script",
        "What runs keeps what it began with; reset it to use the new values. An empty value takes "
        "a parameter back to what is inherited.",
    )
    rest = (
        add_verb(verbs, "sleep", "end what runs and let go of containers, keep all else"),
        add_verb(verbs, "wake", "take a pipeline out of sleep or the archive; it does not run yet"),
        add_verb(verbs, "archive", "end what runs and take the pipeline off the list"),
    )
    for parser in (run, pause, reset, skip, unskip, kill, rebuild, modify, *rest):
        add_id(parser)
        parser.set_defaults(paths=[], failed=False, watch=False, dry_run=False)
    for parser in (reset, skip, unskip, kill, rebuild, modify):
        parser.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what it would do to which Execs"
        )
    _add_changes(modify)
    for parser in (reset, skip, rebuild, modify):
        parser.add_argument(
            "--failed",
            action="store_true",
            help="every Exec that failed, and what a group that timed out left",
        )
    for parser in (run, reset, rebuild):
        parser.add_argument("--watch", action="store_true", help="stay until the pipeline settles")
    add_json(run, pause, reset, skip, unskip, kill, rebuild, modify, *rest)
