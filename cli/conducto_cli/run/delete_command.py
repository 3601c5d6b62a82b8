"""``conducto delete``: a pipeline with everything that belongs to it."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_id, add_json, add_yes, confirmed
from conducto_cli.app.exit import FAILED
from conducto_cli.app.records import show
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.run.model.requests import PipelineSummary


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    add_yes(parser)
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline

    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        if not confirmed(_question(summary), yes=arguments.yes):
            return FAILED
        pipeline_id = client.delete(summary.pipeline.id)
    return show(arguments, {"id": pipeline_id, "action": "delete"}, f"deleted {pipeline_id}")


def _question(summary: PipelineSummary) -> str:
    from conducto_cli.text.actions import state_text

    record = summary.pipeline
    title = "" if record.title == record.id else f" {printable(record.title)!r}"
    return (
        f"Delete pipeline {record.id}{title} ({state_text(summary)}) with its output, data and "
        "history? This cannot be undone."
    )
