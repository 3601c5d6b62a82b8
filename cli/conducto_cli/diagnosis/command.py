"""``conducto explain``: the causes of a pipeline's failures, what changed, and the next steps."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_positive, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of a pipeline")
    parser.add_argument(
        "path", metavar="PATH", nargs="?", default="/", help="only failures at or below this node"
    )
    parser.add_argument(
        "--max-bytes",
        metavar="N",
        type=a_positive,
        help="maximum size of the text (default: 12000); the next steps are kept longest",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print Markdown, as in summaries of CI jobs"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.diagnosis.model import (
        DEFAULT_BYTES,
        MAX_BYTES,
        MIN_BYTES,
        DiagnosisParams,
    )
    from conducto_core.diagnosis.rules.markdown import markdown

    size = arguments.max_bytes or DEFAULT_BYTES
    if not MIN_BYTES <= size <= MAX_BYTES:
        raise UsageError(f"--max-bytes is {MIN_BYTES} to {MAX_BYTES}, got {size}")
    with open_client() as client:
        pipeline = find_pipeline(client, arguments.id).pipeline.id
        as_data = arguments.json or arguments.markdown
        query = DiagnosisParams(
            id=pipeline,
            root=arguments.path,
            format="json" if as_data else "text",
            max_bytes=size,
        )
        found = client.get_diagnosis(query)
    if arguments.json:
        print(as_json(found))
    elif arguments.markdown:
        print(markdown(found, size))
    else:
        print(found.text)
    return DONE
