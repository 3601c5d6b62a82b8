"""``conducto diff``: what changed between two attempts of a node."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_positive, add_id, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.text.text import Role, TextSpan, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.programs.attempt_diff import AttemptDifference, Side
    from conducto_cli.target.connection import OpenClient
    from conducto_cli.text.text import Line
    from conducto_client import Client
    from conducto_core.run.model.params import Stream
    from conducto_core.run.model.records import AttemptRecord


#: The end of each output that is compared: beyond it a comparison would take too long.
MAX_BYTES = 256 << 10
MAX_LINES = 2000
_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")
_ROLES = {"-": Role.BAD, "+": Role.GOOD, "@": Role.FAINT}


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument("path", metavar="PATH", help="an Exec")
    parser.add_argument(
        "first", metavar="A", nargs="?", type=a_positive, help="an attempt's number"
    )
    parser.add_argument("second", metavar="B", nargs="?", type=a_positive, help="another's")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.programs.attempt_diff import document
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.lookup import find_pipeline
    from conducto_cli.view.session import write_lines

    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        path = selection.one_exec(client, pipeline_id, arguments.path)
        records = _chosen(path, client.attempts(pipeline_id, path), arguments)
        old, new = (_side(client, pipeline_id, path, record) for record in records)
    if arguments.json:
        print(as_json(document(path, old, new)))
    else:
        write_lines(_lines(path, old, new))
    return DONE


def _chosen(
    path: str, attempts: tuple[AttemptRecord, ...], arguments: argparse.Namespace
) -> tuple[AttemptRecord, AttemptRecord]:
    """Return the two attempts to compare.

    Raises:
        UsageError: there are not that many, or not those.
    """
    by_number = {attempt.number: attempt for attempt in attempts}
    if len(by_number) < 2:  # noqa: PLR2004 - a difference is one of two
        ran = "has run once" if by_number else "has not run"
        raise UsageError(f"{path}: {ran}; there are no two attempts to compare")
    *_, before, newest = by_number
    first = before if arguments.first is None else arguments.first
    second = newest if arguments.second is None else arguments.second
    for number in (first, second):
        if number not in by_number:
            there = ", ".join(map(str, by_number))
            raise UsageError(f"{path}: no attempt {number}; there are: {there}")
    if first == second:
        raise UsageError(f"{path}: attempt {first} against itself; name another one")
    return by_number[first], by_number[second]


def _side(client: Client, pipeline_id: str, path: str, record: AttemptRecord) -> Side:
    from conducto_cli.programs.attempt_diff import Side

    return Side(
        record, {stream: _tail(client, pipeline_id, path, record, stream) for stream in _STREAMS}
    )


def _tail(
    client: Client, pipeline_id: str, path: str, record: AttemptRecord, stream: Stream
) -> list[str]:
    chunk = client.log(
        pipeline_id,
        path,
        attempt=record.number,
        stream=stream,
        offset=-MAX_BYTES,
        limit=MAX_BYTES,
    )
    text = base64.b64decode(chunk.data).decode("utf-8", "replace")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if chunk.offset > 0:  # the first one is cut
        lines[:1] = []
    return lines[-MAX_LINES:]


def _lines(path: str, old: Side, new: Side) -> Iterator[Line]:
    from conducto_cli.programs.attempt_diff import differences

    yield _title("---", path, old.record, Role.BAD)
    yield _title("+++", path, new.record, Role.GOOD)
    found = list(differences(old, new))
    for each in found:
        yield (TextSpan(each.what, Role.STRONG),)
        yield from _difference_lines(each)
    if not found:
        yield (TextSpan("the same command, environment, image and output", Role.FAINT),)


def _title(sign: str, path: str, record: AttemptRecord, role: Role) -> Line:
    from conducto_cli.programs.attempt_diff import ending

    when = ""
    if record.started is not None:
        when = time.strftime("  %Y-%m-%d %H:%M:%S", time.localtime(record.started))
    said = f"{sign} {printable(path)} attempt {record.number}: {ending(record)}{when}"
    return (TextSpan(said, role),)


def _difference_lines(each: AttemptDifference) -> Iterator[Line]:
    for line in each.lines:
        yield (TextSpan("  "), TextSpan(printable(line), _ROLES.get(line[:1], Role.PLAIN)))
    if each.hidden:
        yield (TextSpan(f"  {each.hidden:,} more lines; see both with conducto logs", Role.FAINT),)
