"""Triggers by events: webhooks with any payload, S3, EventBridge, SQS, and directories."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import (
    a_positive,
    a_time_within,
    add_json,
    add_subcommand,
    file_text,
)
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import show, show_list
from conducto_cli.schedules.text import FIRING_COLUMNS, cells_of, firing_cells, lines_of
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser, Subcommands
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.events.model import FiringParams, NewHook
    from conducto_core.schedules.model import Firing, ScheduleView

COLUMNS = ("NAME", "EVENTS", "LAST", "LAUNCHES")
_SHOWN_FIRINGS = 50


def add_commands(commands: Subcommands) -> None:
    for name, summary in (
        ("firings", "list the last events of a trigger, and the pipelines that they launched"),
        ("payload", "print the payload of a firing"),
        ("replay", "fire again with the payload of a firing"),
        ("secret", "make a new secret for the webhook of a trigger; the old one is rejected"),
        ("pause", "pause a trigger by events: its events are recorded, and launch nothing"),
        ("resume", "resume a trigger by events"),
    ):
        command = add_subcommand(commands, name, summary)
        command.add_argument("name", metavar="NAME")
        if name in ("payload", "replay"):
            command.add_argument("firing", metavar="FIRING", help="its id, as 'firings' lists it")
        add_json(command)


def add_options(adding: Parser) -> None:
    events = adding.add_argument_group("triggers by events")
    events.add_argument(
        "--event",
        choices=("webhook", "s3", "eventbridge", "sqs", "watch"),
        help="what fires it, instead of a repository",
    )
    events.add_argument(
        "--program",
        dest="script",
        metavar="ID",
        help="launch the program of this pipeline, with the parameters of --param",
    )
    events.add_argument("--pipeline", metavar="ID", help="launch a copy of the tree of a pipeline")
    events.add_argument("--git", metavar="URL", help="launch --command of this repository")
    events.add_argument("--ref", help="branch or tag of the repository (default: main)")
    events.add_argument("--image", help="image in which the program or command runs in the cloud")
    events.add_argument(
        "--param",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="a parameter of the program and the path of its value in the payload, such as "
        "country=$.detail.country (repeatable)",
    )
    events.add_argument(
        "--redact",
        metavar="PATH",
        action="append",
        default=[],
        help="mask a value of the payload before it is stored (repeatable)",
    )
    events.add_argument(
        "--rate", metavar="N", type=a_positive, help="maximum events in a minute (default: 60)"
    )
    events.add_argument(
        "--debounce",
        metavar="TIME",
        type=partial(a_time_within, "1s", "1h"),
        help="fire when no event has arrived for this time, with the last one",
    )
    events.add_argument(
        "--overlap",
        choices=("allow", "queue", "skip", "replace"),
        default="allow",
        help="what to do while its last pipeline runs (default: allow)",
    )
    events.add_argument("--title", help="title of its pipelines")
    events.add_argument("--pattern", metavar="FILE", help="of eventbridge: JSON of the pattern")
    events.add_argument("--bucket", help="of s3: the bucket")
    events.add_argument("--prefix", default="", help="of s3: the beginning of the keys")
    events.add_argument("--suffix", default="", help="of s3: the end of the keys")
    events.add_argument(
        "--queue",
        metavar="ARN",
        help="of sqs: a queue that the installation may read (default: a new queue of the trigger)",
    )
    events.add_argument(
        "--batch",
        metavar="N",
        type=a_positive,
        help="of sqs: launch one pipeline for at most N messages, up to 100 (default: 10)",
    )
    events.add_argument(
        "--batch-time",
        metavar="TIME",
        type=partial(a_time_within, "1s", "5m"),
        help="of sqs: collect messages for at most this time (default: 5s)",
    )
    events.add_argument("--directory", metavar="DIR", help="of watch: where new files are found")


def of_events(client: Client) -> list[ScheduleView]:
    return [one for one in client.schedules().schedules if one.schedule.on is not None]


def cells(view: ScheduleView) -> tuple[str, ...]:
    name, when, following, last, launches = cells_of(view)
    return name, "paused" if following == "paused" else when, last, launches


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Execute a command of a trigger by events."""
    verbs = {"add": _add, "try": _try, "firings": _firings, "payload": _payload}
    with open_client() as client:
        return verbs.get(arguments.what, _act)(arguments, client)


def _add(arguments: argparse.Namespace, client: Client) -> int:
    from conducto_cli.schedules.command import source_from
    from conducto_cli.target.account import checked
    from conducto_core.events.model import EventRule
    from conducto_core.schedules.model import NewSchedule, ScheduleSettings

    rule = checked(EventRule, **_rule(arguments))
    what = source_from(
        arguments, client, "--program ID, --pipeline ID, or --command LINE with or without --git"
    )
    fields: dict[str, Any] = {"on": rule, "what": what, "overlap": arguments.overlap}
    optional = {"title": arguments.title, "window": arguments.window}
    fields |= {name: value for name, value in optional.items() if value is not None}
    known = {one.schedule.name: one.schedule for one in client.schedules().schedules}
    if arguments.name not in known:
        new = checked(NewSchedule, name=arguments.name, **fields)
        view = client.create_schedule(new)
    elif known[arguments.name].on is None:
        raise UsageError(f"there is a schedule {arguments.name!r}; choose another name")
    else:
        view = client.change_schedule(arguments.name, checked(ScheduleSettings, **fields))
    hook = _new_hook(client, arguments.name) if rule.source == "webhook" else None
    found = {"hook": None if hook is None else hook.model_dump(mode="json")}
    stored = view.schedule.on
    queue = None if stored is None else stored.queue
    lines = (
        *lines_of(view),
        *(() if hook is None else _hook_lines(hook)),
        *(() if queue is None else _queue_lines(queue)),
    )
    return show(arguments, {**view.model_dump(mode="json"), **found}, lines)


def _rule(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("rate", "debounce", "bucket", "queue", "batch")
    given = {name: getattr(arguments, name) for name in names}
    found = {name: value for name, value in given.items() if value is not None}
    if arguments.batch_time is not None:
        found["batch_seconds"] = int(arguments.batch_time)
    if arguments.pattern is not None:
        found["pattern"] = json.dumps(_document("--pattern", arguments.pattern))
    if arguments.directory is not None:
        found["directory"] = str(Path(arguments.directory).resolve())
    return {
        **found,
        "source": arguments.event,
        "parameters": dict(map(_parameter, arguments.param)),
        "redact": arguments.redact,
        "prefix": arguments.prefix,
        "suffix": arguments.suffix,
    }


def _parameter(text: str) -> tuple[str, str]:
    name, mark, path = text.partition("=")
    if not mark or not name:
        raise UsageError(f"--param {text!r}: write NAME=PATH, such as country=$.detail.country")
    return name.replace("-", "_"), path


def _document(option: str, file: str) -> Any:
    text = file_text(file)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: {file} is not JSON: {error}") from error


def _new_hook(client: Client, name: str) -> NewHook:
    from conducto_core.events import operations
    from conducto_core.schedules.model import ScheduleParams

    return client.call(operations.MAKE_HOOK, ScheduleParams(name=name))


def _hook_lines(hook: NewHook) -> Iterator[str]:
    yield f"  address  {hook.url}"
    yield f"  secret   {hook.secret}   (shown once; an earlier one is no longer valid)"
    yield "  send JSON with 'Authorization: Bearer SECRET', or signed: see docs/triggers.md"


def _queue_lines(queue: str) -> Iterator[str]:
    name = queue.rpartition(":")[2]
    yield f"  queue    {queue}"
    yield f"  address  aws sqs get-queue-url --queue-name {name}"


def _try(arguments: argparse.Namespace, client: Client) -> int:
    from conducto_core.events import operations
    from conducto_core.events.model import EventTrial
    from conducto_core.schedules.model import ScheduleParams

    trial = EventTrial(payload=_document("--payload", arguments.payload), launch=arguments.launch)
    tried = client.call(operations.TRY_EVENT, ScheduleParams(name=arguments.name), trial)
    lines = [f"{name}={value}" for name, value in tried.parameters.items()]
    lines += [f"{name}: {why}" for name, why in tried.problems.items()]
    lines += [] if tried.why is None else [tried.why]
    lines += [] if tried.pipeline is None else [f"pipeline {tried.pipeline}"]
    show(arguments, tried, map(printable, lines))
    is_launched = tried.pipeline is not None or (tried.firing is not None and tried.why is not None)
    fits = not tried.problems and tried.why is None
    return DONE if (is_launched if arguments.launch else fits) else FAILED


def _firings(arguments: argparse.Namespace, client: Client) -> int:
    found = client.firings(arguments.name, limit=_SHOWN_FIRINGS)
    head, none = ("ID", *FIRING_COLUMNS), "no event has arrived yet"
    return show_list(arguments, found.firings, head, _firing_cells, none, whole=found)


def _firing_cells(firing: Firing) -> tuple[str, ...]:
    return firing.id, *firing_cells(firing)


def _params(arguments: argparse.Namespace) -> FiringParams:
    from conducto_cli.target.account import checked
    from conducto_core.events.model import FiringParams

    return checked(FiringParams, name=arguments.name, firing=arguments.firing)


def _payload(arguments: argparse.Namespace, client: Client) -> int:
    from conducto_core.events import operations

    found = client.call(operations.GET_PAYLOAD, _params(arguments))
    return show(arguments, found, json.dumps(found.payload, indent=2))


def _act(arguments: argparse.Namespace, client: Client) -> int:
    match arguments.what:
        case "secret":
            hook = _new_hook(client, arguments.name)
            return show(arguments, hook, _hook_lines(hook))
        case "replay":
            from conducto_core.events.operations import REPLAY_FIRING

            firing = client.call(REPLAY_FIRING, _params(arguments))
            show(arguments, firing, table([_firing_cells(firing)]))
            return FAILED if firing.state.value == "failed" else DONE
        case _:
            is_pause = arguments.what == "pause"
            change = client.pause_schedule if is_pause else client.resume_schedule
            view = change(arguments.name)
            return show(arguments, view, lines_of(view))
