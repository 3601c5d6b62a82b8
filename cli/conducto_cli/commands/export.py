"""``conducto export``: a pipeline as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conducto_cli.arguments import (
    add_id,
    add_verb,
)
from conducto_cli.connection import OpenClient, find_pipeline
from conducto_cli.exit_codes import DONE
from conducto_cli.references import UsageError
from conducto_cli.text.text import printable
from conducto_core.api.export.text import file_name

if TYPE_CHECKING:
    import argparse

    from conducto_cli.arguments import Verbs

_STDOUT = "-"


def export(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Write the page and say where it is."""
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
    _write(file, page, force=arguments.force)
    print(f"{printable(str(file.absolute()))}: {len(page):,} bytes")
    return DONE


def _check(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise _is_there(file)


def _write(file: Path, page: bytes, *, force: bool) -> None:
    try:
        with file.open("wb" if force else "xb") as target:
            target.write(page)
    except FileExistsError as error:
        raise _is_there(file) from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _is_there(file: Path) -> UsageError:
    return UsageError(f"{file}: is there already; --force writes over it, -o FILE takes another")


def _add_export(verbs: Verbs) -> None:
    export = add_verb(
        verbs,
        "export",
        "write a pipeline, as it is now, into one HTML file",
        "To keep, to send, or to attach to a pull request: any browser shows it, offline, on a "
        "phone and on paper. It has the failures with their last output, the tree with commands "
        "and attempts, a timeline and the images; no scripts, no variables of the environment, "
        "and values of secrets masked. Of a large tree it has what failed or runs, and the upper "
        "levels.",
    )
    add_id(export)
    export.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: its title and .html, in this directory); '-' is stdout",
    )
    export.add_argument("--force", action="store_true", help="write over a file that is there")
