"""``conducto images``: the images of a pipeline and the states of their builds."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_id, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.records import show_list
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.run.model.records import ImageRecord


_COLUMNS = ("NAME", "STATE", "TIME", "REFERENCE")


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument("--log", metavar="NAME", help="instead, what the build of one printed")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="with --log: stay until the build has ended"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.logs.pipeline_logs import copy_build_log
    from conducto_cli.target.lookup import find_pipeline

    if arguments.follow and arguments.log is None:
        raise UsageError("--follow: say which image, with --log NAME")
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        if arguments.log is not None:
            copy_build_log(client, pipeline_id, arguments.log, follow=arguments.follow)
            return DONE
        found = client.images(pipeline_id)
    return show_list(arguments, found, _COLUMNS, _cells, "this pipeline uses no images")


def _cells(image: ImageRecord) -> tuple[str, ...]:
    from conducto_core.run.model.labels import duration
    from conducto_core.run.model.records import ImageState

    over = image.state in {ImageState.DONE, ImageState.ERROR}
    took = ""
    if image.started is not None:
        end = image.ended if over and image.ended is not None else time.time()
        took = duration(end - image.started)
    reference = "" if image.reference is None else printable(image.reference)
    return (printable(image.name), image.state.value, took, reference)
