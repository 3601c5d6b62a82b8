"""``conducto dump-serialization``: the tree of a pipeline, for ``conducto build``."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_id
from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument("--outfile", metavar="FILE", help="write it to a file instead")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto.tree.serialize import encode
    from conducto_cli.target.lookup import find_pipeline

    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        text = encode(client.definition(pipeline_id).tree)
    if arguments.outfile is None:
        print(text)
        return DONE
    try:
        Path(arguments.outfile).write_text(f"{text}\n")
    except OSError as error:
        raise UsageError(f"{arguments.outfile}: {error.strerror}") from error
    return DONE
