"""``conducto schedule``: pipelines that start at given times, or when others end."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import (
    a_moment,
    a_positive,
    a_time_within,
    add_json,
    add_subcommand,
    add_yes,
    dollars_above_0,
)
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import delete, show, show_list, using
from conducto_cli.schedules.text import COLUMNS, FIRING_COLUMNS, cells_of, firing_cells, lines_of
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from conducto_cli.app.arguments import Parser, Subcommands
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.record import Record
    from conducto_core.schedules.model import Firing

_FIRE = "fire it now, also while it is paused or its last pipeline runs"
_SHOWN_FIRINGS = 10
_SOURCES = "--pipeline ID, --script ID, and --command LINE with or without --git URL"


def add_arguments(parser: Parser) -> None:
    names = "add|list|show|pause|resume|fire|backfill|rm"
    commands = parser.add_subparsers(dest="what", metavar=names, required=True)
    _add_adding(commands)
    listing = add_subcommand(commands, "list", "list schedules with their next time")
    add_json(listing)
    for name, summary in (
        ("show", "show a schedule with its next times and its last firings"),
        ("pause", "pause a schedule until it is resumed"),
        ("resume", "resume a schedule from now on; missed times are not caught up"),
        ("fire", _FIRE),
        ("rm", "delete a schedule with its history; its pipelines are kept"),
    ):
        command = add_subcommand(commands, name, summary)
        command.add_argument("name", metavar="NAME")
        add_json(command)
        if name == "rm":
            add_yes(command)
    _add_backfill(commands)


def _add_adding(commands: Subcommands) -> None:
    adding = add_subcommand(
        commands,
        "add",
        "create a schedule",
        "Give it a time (--cron) or pipelines to follow (--after), and something to launch: the "
        "tree of a pipeline (--pipeline ID), its script (--script ID), a script in this directory "
        "(--command), or a command in a repository that prints the tree (--git URL --command).",
    )
    adding.add_argument("name", metavar="NAME", help="letters, digits, '-', '_' and '.'")
    adding.add_argument(
        "--cron",
        metavar="CRON",
        help="minute, hour, day of the month, month and day of the week, such as '30 2 * * 1-5', "
        "or @hourly, @daily, @weekly, @monthly",
    )
    adding.add_argument("--zone", help="time zone of --cron (default: that of this machine)")
    adding.add_argument("--after", metavar="TITLE", help="fire when a pipeline of this title ends")
    adding.add_argument(
        "--after-program", metavar="FILE", help="fire when a pipeline of this script ends"
    )
    adding.add_argument(
        "--when", choices=("done", "failed", "any"), help="how that pipeline ends (default: done)"
    )
    adding.add_argument("--pipeline", metavar="ID", help="launch a copy of its tree")
    adding.add_argument("--script", metavar="ID", help="run its script again, with its parameters")
    adding.add_argument(
        "--command", metavar="LINE", help="a command line, such as 'python pipeline.py nightly'"
    )
    adding.add_argument("--git", metavar="URL", help="run --command in this repository")
    adding.add_argument("--ref", help="branch or tag of the repository (default: main)")
    adding.add_argument(
        "--image", help="image in which that command runs (default: python:3.11-slim)"
    )
    _add_rules(adding)
    add_json(adding)


def _add_rules(adding: Parser) -> None:
    adding.add_argument(
        "--overlap",
        choices=("skip", "queue", "replace", "allow"),
        help="what to do while its last pipeline runs (default: skip)",
    )
    adding.add_argument(
        "--catch-up",
        choices=("last", "none", "all", "missing"),
        help="which missed times are made up for (default: last); missing: also the partitions of "
        "--window that no pipeline has run",
    )
    adding.add_argument(
        "--partitions",
        metavar="KIND",
        help="launch the partition of the due time: 'daily 2026-01-01 UTC', hourly or monthly "
        "(default: those of the program, with --script)",
    )
    adding.add_argument(
        "--window",
        metavar="TIME",
        type=partial(a_time_within, "1m", "31d"),
        help="for how long, and how long a firing waits for room in the plan, such as 2h (default: "
        "24h; at most 31d)",
    )
    adding.add_argument(
        "--jitter",
        metavar="TIME",
        type=partial(a_time_within, "1s", "12h"),
        help="delay each launch by up to this time (at most 12h)",
    )
    adding.add_argument(
        "--pause-after",
        metavar="N",
        type=a_positive,
        help="pause it after so many failures in a row",
    )
    adding.add_argument("--until", metavar="WHEN", type=a_moment, help="fire no more after this")
    adding.add_argument("--title", help="title of its pipelines")
    adding.add_argument(
        "--budget",
        metavar="DOLLARS",
        type=dollars_above_0,
        help="maximum cost in the cloud of each pipeline whose tree has none",
    )
    adding.add_argument("--secret-set", metavar="NAME", help="set of secrets that its commands get")
    adding.add_argument("--paused", action="store_true", help="create it paused")
    adding.add_argument(
        "--replace", action="store_true", help="change the schedule if it exists already"
    )


def _add_backfill(commands: Subcommands) -> None:
    filling = add_subcommand(
        commands, "backfill", "fire a schedule for each of its times in a range of the past"
    )
    filling.add_argument("name", metavar="NAME")
    filling.add_argument("--from", dest="start", metavar="WHEN", type=a_moment, required=True)
    filling.add_argument("--to", dest="end", metavar="WHEN", type=a_moment, required=True)
    filling.add_argument(
        "--overlap",
        choices=("skip", "queue", "replace", "allow"),
        help="allow launches all at once, queue one after another (default: allow)",
    )
    add_json(filling)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    verbs = {
        "add": _add,
        "list": _list,
        "show": _show,
        "fire": _fire,
        "backfill": _backfill,
        "rm": _remove,
    }
    return verbs.get(arguments.what, _switch)(arguments, open_client)


def _list(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        found = client.schedules()
    none = "no schedules yet; create one: conducto schedule add NAME --cron CRON --pipeline ID"
    shown = [one for one in found.schedules if one.schedule.on is None]
    return show_list(arguments, shown, COLUMNS, cells_of, none, whole=found)


def _show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        view = client.schedule(arguments.name)
        firings = client.firings(arguments.name, limit=_SHOWN_FIRINGS).firings
    dumped = {"firings": [one.model_dump(mode="json") for one in firings]}
    more = ("", *_firing_lines(firings)) if firings else ()
    return show(arguments, {**view.model_dump(mode="json"), **dumped}, (*lines_of(view), *more))


def _firing_lines(firings: Sequence[Firing]) -> list[str]:
    return [*table([FIRING_COLUMNS, *map(firing_cells, firings)])]


def _switch(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        if arguments.what == "pause":
            view = client.pause_schedule(arguments.name)
        else:
            view = client.resume_schedule(arguments.name)
    return show(arguments, view, lines_of(view))


def _fire(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        firing = client.fire_schedule(arguments.name)
    text = f"pipeline {firing.pipeline}"
    if firing.pipeline is None:
        text = f"{firing.state.value}: {firing.why or 'it launches a pipeline in a moment'}"
    show(arguments, firing, text)
    return FAILED if firing.state.value == "failed" else DONE


def _backfill(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.account import checked
    from conducto_core.schedules.model import Backfill

    overlap = {} if arguments.overlap is None else {"overlap": arguments.overlap}
    request = checked(Backfill, start=arguments.start, end=arguments.end, **overlap)
    with open_client() as client:
        found = client.backfill_schedule(arguments.name, request)
    show(arguments, found, _firing_lines(found.firings))
    return FAILED if any(one.state.value == "failed" for one in found.firings) else DONE


def _remove(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    return delete(
        arguments,
        f"Delete the schedule {printable(arguments.name)} with its history?",
        using(open_client, lambda client: client.delete_schedule(arguments.name)),
        lambda deleted: f"deleted {deleted.name}",
    )


# ---- add ---------------------------------------------------------------------------------------


def _add(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.account import checked
    from conducto_core.schedules.model import NewSchedule, ScheduleSettings

    with open_client() as client:
        fields = {
            **_times(arguments),
            **_rules(arguments),
            "what": source_from(arguments, client, _SOURCES),
        }
        known = {one.schedule.name for one in client.schedules().schedules}
        if arguments.replace and arguments.name in known:
            view = client.change_schedule(arguments.name, checked(ScheduleSettings, **fields))
        else:
            fields |= {"name": arguments.name, "paused": arguments.paused}
            view = client.create_schedule(checked(NewSchedule, **fields))
    return show(arguments, view, lines_of(view))


def _times(arguments: argparse.Namespace) -> dict[str, Any]:
    from conducto_cli.schedules.text import zone_here

    chain = {"title": arguments.after, "program": _program(arguments.after_program)}
    given = {name: value for name, value in chain.items() if value is not None}
    if not given and arguments.cron is None:
        raise UsageError("give a schedule a time with --cron, or pipelines to follow with --after")
    if given and arguments.cron is not None:
        option = "--after" if arguments.after is not None else "--after-program"
        raise UsageError(f"give only one of --cron and {option}: a schedule has one or the other")
    if given:
        return {"after": {**given, "state": arguments.when or "done"}}
    if arguments.when is not None:
        raise UsageError("--when is about the pipelines of --after; leave it out")
    return {"cron": arguments.cron, "zone": arguments.zone or zone_here()}


def _program(file: str | None) -> str | None:
    """Return the path that pipelines of a script have: absolute, except in a repository."""
    is_here = file is not None and "/" in file and (file.startswith(".") or os.path.isfile(file))  # noqa: PTH113
    return os.path.abspath(file) if file is not None and is_here else file  # noqa: PTH100


def _partitions(text: str) -> dict[str, Any]:
    from conducto.wire.partitions import from_wire

    kind, *rest = text.split()
    names = ("start", "zone")
    if not 0 < len(rest) <= len(names):
        raise UsageError(f"--partitions must be 'daily 2026-01-01 UTC', for example, got {text!r}")
    try:
        return from_wire({"kind": kind, **dict(zip(names, rest, strict=False))}).to_wire()
    except ValueError as error:
        raise UsageError(f"--partitions: {error}") from None


def _rules(arguments: argparse.Namespace) -> dict[str, Any]:
    names = (
        "overlap",
        "catch_up",
        "window",
        "jitter",
        "pause_after",
        "until",
        "title",
        "budget",
        "secret_set",
    )
    given = {name: getattr(arguments, name) for name in names}
    if arguments.partitions is not None:
        given["partitions"] = _partitions(arguments.partitions)
    return {name: value for name, value in given.items() if value is not None}


def source_from(arguments: argparse.Namespace, client: Client, options: str) -> Record:
    """Return the source that the options name; ``options`` lists them in errors."""
    from conducto_core.schedules import model as s

    given = [name for name in ("pipeline", "script", "git") if getattr(arguments, name)]
    if len(given) > 1 or (not given and not arguments.command):
        raise UsageError(f"say what to launch: one of {options}")
    if given == ["git"]:
        return _repository(arguments)
    if given and arguments.command:
        raise UsageError(f"--{given[0]} takes no --command; leave one of them out")
    if not given:
        return _command(arguments)
    from conducto_cli.target.lookup import find_pipeline

    found = find_pipeline(client, getattr(arguments, given[0])).pipeline.id
    if given == ["script"]:
        return s.ScriptSource(kind="script", pipeline=found, image=arguments.image)
    return s.TemplateSource(kind="template", pipeline=found)


def _repository(arguments: argparse.Namespace) -> Record:
    from conducto_cli.target.account import checked
    from conducto_core.schedules.model import GitSource

    if not arguments.command:
        raise UsageError("--git needs the command that prints the tree: --command LINE")
    optional = {name: getattr(arguments, name) for name in ("ref", "image")}
    given = {name: value for name, value in optional.items() if value is not None}
    return checked(GitSource, kind="git", url=arguments.git, command=arguments.command, **given)


def _command(arguments: argparse.Namespace) -> Record:
    import shlex
    import shutil
    from pathlib import Path

    from conducto_core.schedules.model import ScriptSource

    try:
        words: tuple[str, ...] = tuple(shlex.split(arguments.command))
    except ValueError as error:
        raise UsageError(f"--command {arguments.command!r}: {error}") from None
    # The agent's PATH may have another Python than the terminal's.
    words = (shutil.which(words[0]) or words[0], *words[1:]) if words else words
    return ScriptSource(kind="script", command=words, directory=str(Path.cwd()))
