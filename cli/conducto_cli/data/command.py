"""``conducto data``: files that commands share, of a pipeline or of the user."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import moment, show, show_list
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.run.model.responses import DataEntry

_CHUNK = 1 << 20
#: Names that stand for the standard streams.
_STANDARD = "-"


def add_arguments(parser: Parser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="list|get|put|rm", required=True)
    listing = add_subcommand(commands, "list", "list the entries of a directory")
    getting = add_subcommand(commands, "get", "read a file")
    putting = add_subcommand(commands, "put", "write a file, over one of the same name")
    removing = add_subcommand(commands, "rm", "delete files")
    for each, words, text in (
        (listing, "ID [DIR]", "the pipeline, and a directory of its data"),
        (getting, "ID NAME [FILE]", "FILE is where to; '-' is stdout"),
        (putting, "ID FILE [NAME]", "FILE is what to write; '-' is stdin"),
        (removing, "ID NAME ...", "the pipeline, and what to delete of its data"),
    ):
        # One argument for all words: with --user there is no ID in front of the others.
        each.usage = f"conducto data {each.prog.split()[-1]} [--user | ID] {words[3:]}".strip()
        each.add_argument("words", metavar=words, nargs="*", help=text)
        each.add_argument(
            "--user", action="store_true", help="instead of ID: the data of all your pipelines"
        )
    add_yes(removing)
    add_json(listing, putting, removing)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline

    words = _words(arguments)
    with open_client() as client:
        whose = None
        if not arguments.user:
            whose = find_pipeline(client, words.pop(0)).pipeline.id
        match arguments.what:
            case "list":
                directory = words[0] if words else ""
                entries = list(client.data(whose, directory))
                return show_list(
                    arguments, entries, ("SIZE", "MODIFIED", "NAME"), _cells, "no data"
                )
            case "get":
                return _get(client, whose, words)
            case "put":
                file = words[0]
                if file == _STANDARD:
                    if len(words) == 1:
                        raise UsageError("stdin has no name; give one: conducto data put ID - NAME")
                    entry = client.write_data(whose, words[1], _chunks(sys.stdin.buffer))
                else:
                    name = words[1] if len(words) > 1 else Path(file).name
                    try:
                        with Path(file).open("rb") as source:
                            entry = client.write_data(whose, name, _chunks(source))
                    except OSError as error:
                        raise UsageError(f"{file}: {error.strerror}") from error
                text = f"{printable(entry.name)}: {entry.size:,} bytes"
                return show(arguments, entry, text)
            case _:
                files = ", ".join(map(printable, words))
                if not confirmed(
                    f"Delete {files} of {whose or 'all your pipelines'}?", yes=arguments.yes
                ):
                    return FAILED
                deleted = [client.delete_data(whose, name).name for name in words]
                return show(arguments, deleted, (f"deleted {printable(name)}" for name in deleted))


#: Words that each command takes behind the ID, the least and the most.
_TAKES = {"list": (0, 1), "get": (1, 2), "put": (1, 2), "rm": (1, None)}


def _words(arguments: argparse.Namespace) -> list[str]:
    """Return the words of the command, the ID first unless it is about the user's data.

    Raises:
        UsageError: there are too few or too many.
    """
    given: list[str] = list(arguments.words)
    least, maximum = _TAKES[arguments.what]
    count = len(given) - (not arguments.user)
    if count < least or (maximum is not None and count > maximum):
        usage = {"list": "[DIR]", "get": "NAME [FILE]", "put": "FILE [NAME]", "rm": "NAME ..."}
        raise UsageError(
            f"write: conducto data {arguments.what} ID {usage[arguments.what]}, "
            "or --user instead of ID"
        )
    return given


def _cells(entry: DataEntry) -> tuple[str, ...]:
    size = f"{entry.size:,}" if entry.kind == "file" else "-"
    return (
        size,
        moment(entry.modified),
        printable(entry.name) + ("/" if entry.kind == "directory" else ""),
    )


def _get(client: Client, whose: str | None, words: list[str]) -> int:
    name = words[0]
    file = words[1] if len(words) > 1 else os.path.basename(name)  # noqa: PTH119 - no path of here
    chunks = client.read_data(whose, name)
    first = next(chunks, b"")  # a missing file must not leave an empty one here
    if file == _STANDARD:
        _copy(first, chunks, sys.stdout.buffer)
        return DONE
    try:
        with Path(file).open("wb") as target:
            size = _copy(first, chunks, target)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    print(f"{printable(file)}: {size:,} bytes")
    return DONE


def _copy(first: bytes, rest: Iterable[bytes], target: BinaryIO) -> int:
    size = target.write(first)
    for chunk in rest:
        size += target.write(chunk)
    target.flush()
    return size


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk
