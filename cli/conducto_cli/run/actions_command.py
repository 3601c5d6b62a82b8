"""The commands that act on a pipeline or its nodes, such as ``conducto reset``."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import PATHS_HELP, add_id, add_json
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import action_document, as_json
from conducto_cli.run.modify import add_changes, changes_of

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.run.model.requests import ControlRequest, ControlResult, PipelineSummary


#: Commands that act on nodes.
_ON_NODES = {"reset", "rerun", "skip", "unskip", "kill", "rebuild", "modify"}
_WITH_FAILED = {"reset", "rerun", "skip", "rebuild", "modify"}
_WITH_STALE = {"reset", "rerun"}
_WITH_WATCH = {"run", "reset", "rerun", "rebuild"}
#: Commands after which Execs may start that were held before.
_MAKES_WORK = {"reset", "skip", "unskip"}


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.set_defaults(paths=[], failed=False, stale=False, watch=False, dry_run=False)
    if parser.command in _ON_NODES:
        parser.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what it would do to which Execs"
        )
    if parser.command == "modify":
        add_changes(parser)
    if parser.command in _WITH_FAILED:
        parser.add_argument(
            "--failed",
            action="store_true",
            help="every Exec that failed, and what a group that timed out left",
        )
    if parser.command in _WITH_STALE:
        parser.add_argument(
            "--stale",
            action="store_true",
            help="every cached command of which a file or result that it used has changed",
        )
    if parser.command in _WITH_WATCH:
        parser.add_argument("--watch", action="store_true", help="stay until the pipeline settles")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.run.model.states import FAILED as FAILED_STATES

    _check(arguments)
    since = time.time()
    with open_client() as client:
        before = find_pipeline(client, arguments.id)
        pipeline_id = before.pipeline.id
        request = _request(client, pipeline_id, arguments)
        result = _send(client, pipeline_id, request)
        nothing_failed = (request.failed or request.stale) and not result.affected
        if not arguments.json:
            nothing = "nothing is stale" if request.stale else "nothing failed"
            print(nothing if nothing_failed else _report(arguments, before, result))
    if arguments.json:
        print(as_json(action_document(arguments.verb, pipeline_id, result)))
    if nothing_failed or not arguments.watch:
        return FAILED if result.idle and before.state in FAILED_STATES else DONE
    from conducto_cli.view.session import watch_pipeline

    return watch_pipeline(open_client, pipeline_id, plain=False, since=since)


def _check(arguments: argparse.Namespace) -> None:
    """Check that the options fit each other, and that an action on nodes names some."""
    if arguments.failed and arguments.paths:
        raise UsageError("give either paths or --failed, not both")
    if arguments.watch and (arguments.json or arguments.dry_run):
        other = "--json" if arguments.json else "--dry-run"
        raise UsageError(f"give either --watch or {other}, not both")
    verb = arguments.verb
    if arguments.stale and arguments.failed:
        raise UsageError("give either --stale or --failed, not both")
    if verb not in _ON_NODES - {"kill"} or arguments.failed or arguments.stale or arguments.paths:
        return
    failed = ", or --failed" if verb in _WITH_FAILED else ""
    raise UsageError(f"say which nodes: conducto {verb} ID PATH ...{failed}; '/' is all of them")


def _request(client: Client, pipeline_id: str, arguments: argparse.Namespace) -> ControlRequest:
    from conducto_cli.target import lookup as selection
    from conducto_core.run.model.requests import Action, ControlRequest

    action = Action(arguments.verb)
    changes = changes_of(arguments) if action is Action.MODIFY else None
    paths: list[str] = []
    is_chosen = arguments.failed or (arguments.stale and not arguments.paths)
    if arguments.verb in _ON_NODES and not is_chosen:  # the server knows which ones
        paths = selection.several(client, pipeline_id, arguments.paths or ["/"])
    request = ControlRequest(
        action=action,
        paths=tuple(paths),
        failed=arguments.failed,
        stale=arguments.stale,
        changes=changes,
        preview=arguments.dry_run,
    )
    if action is not Action.REBUILD:
        return request
    from conducto_cli.launch.cloud import with_sources

    return with_sources(client, pipeline_id, request)


def _report(arguments: argparse.Namespace, before: PipelineSummary, result: ControlResult) -> str:
    from conducto_cli.text.actions import action_report
    from conducto_core.run.model.requests import STARTS, Action, ControlResult

    action, id_ = Action(arguments.verb), before.pipeline.id
    lines = [action_report(action, id_, result)]
    if action in STARTS and result.preview:
        lines.append("would run the pipeline")
    elif action in STARTS:
        idle = () if result.idle is None else (result.idle,)
        lines.append(action_report(Action.RUN, id_, ControlResult(notes=idle)))
    waits = arguments.verb in _MAKES_WORK and result.affected and not result.preview
    if waits and not before.pipeline.armed and not arguments.watch:  # --watch ends with this line
        lines.append(f"nothing starts while it is paused; continue: conducto run {id_}")
    return "\n".join(lines)


def _send(client: Client, pipeline_id: str, request: ControlRequest) -> ControlResult:
    from conducto_cli.target.lookup import naming_nearest

    with naming_nearest(client, pipeline_id, request.paths):
        return client.control(pipeline_id, request)
