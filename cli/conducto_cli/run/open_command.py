"""``conducto open``: a pipeline's page in a browser."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import ID_HELP
from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", help=f"{ID_HELP}; without it, the list opens"
    )


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    return show_page(arguments.id, open_client)


def show_page(reference: str | None, open_client: OpenClient) -> int:
    """Open a page of the web app, signed in; print its address and a code to sign in with."""
    from conducto_cli.target.lookup import find_pipeline
    from conducto_cli.target.web_page import open_page

    with open_client() as client:
        found = None if reference is None else find_pipeline(client, reference).pipeline.id
        page = open_page(client, found)
    print(page.address)
    print(page.code_line())
    return DONE
