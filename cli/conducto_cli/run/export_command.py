"""``conducto export``: a pipeline as one HTML file."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_id
from conducto_cli.app.exit import DONE
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient


_STDOUT = "-"


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: its title and .html, in this directory); '-' is stdout",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.export.texts import file_name

    with open_client() as client:
        record = find_pipeline(client, arguments.id).pipeline
        file = Path(file_name(record) if arguments.output is None else arguments.output)
        if arguments.output != _STDOUT:
            _check(file, force=arguments.force)
        page = client.export(record.id)
    if arguments.output == _STDOUT:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
        return DONE
    try:
        with file.open("wb" if arguments.force else "xb") as target:
            target.write(page)
    except FileExistsError as error:
        raise _exists(file) from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    print(f"{printable(str(file.absolute()))}: {len(page):,} bytes")
    return DONE


def _check(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise _exists(file)


def _exists(file: Path) -> UsageError:
    return UsageError(f"{file}: file exists; --force overwrites it, -o FILE takes another")
