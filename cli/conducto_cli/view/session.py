"""Staying with a pipeline in the foreground, and writing to standard output."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from conducto_cli.app.exit import DONE, FAILED, LEFT
from conducto_cli.target.connection import OpenClient
from conducto_cli.target.web_page import page_address
from conducto_cli.text.text import Line, marks_for, text_of
from conducto_cli.view.ci import quoting, stream_view
from conducto_cli.view.report import ReportPage, final_report, hint
from conducto_cli.view.watch import view_for, watch
from conducto_client import Client, ClientError
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.run.model.states import FINISHED, State

#: Width that output is quoted in where there is no terminal.
_NO_TERMINAL_COLUMNS = 160


def watch_pipeline(
    open_client: OpenClient,
    pipeline_id: str,
    *,
    plain: bool,
    since: float = 0.0,
    linger: bool = False,
    stream: bool = False,
    when_ended: Callable[[Client, PipelineSummary], None] | None = None,
) -> int:
    """Show a pipeline until it settles, then how it ended; return the exit code.

    Args:
        plain: Lines instead of the live picture.
        since: Ends before this time (seconds since the epoch) get no line.
        linger: On a terminal, one that has settled already stays in view until it is left.
        stream: Print the output of all nodes instead.
        when_ended: Called with the pipeline that has settled.
    """
    if stream:
        view = stream_view(os.environ)
    else:
        view = view_for(sys.stdout, os.environ, plain=plain, since=since)
    try:
        model = watch(open_client, pipeline_id, view, linger=linger)
        if not model.is_settled:
            return _detached(pipeline_id)
        with open_client() as client:
            with quoting(os.environ):
                write_lines(final_report(client, model, page()))
            write_lines(page_lines(client, pipeline_id))
            if when_ended is not None:
                when_ended(client, model.summary)
    except KeyboardInterrupt:
        return _detached(pipeline_id)
    if model.summary.state not in FINISHED:
        return LEFT  # paused, or never started: there is no end to tell of
    return DONE if model.summary.state is State.DONE else FAILED


def _detached(pipeline_id: str) -> int:
    print(
        f"detached; pipeline {pipeline_id} continues\n"
        f"  come back: conducto show {pipeline_id}\n"
        f"  end it:    conducto cancel {pipeline_id}"
    )
    return LEFT


def page_lines(client: Client, pipeline_id: str) -> list[Line]:
    """Return the line with the address of a pipeline's page, if the server has a web app."""
    with suppress(ClientError):  # the pipeline has ended, whatever becomes of the server
        address = page_address(client, pipeline_id)
        if address is not None:
            return [hint("page:", address)]
    return []


def page() -> ReportPage:
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_TERMINAL_COLUMNS
    return ReportPage(marks_for(sys.stdout.encoding), columns)


def write_lines(lines: Iterable[Line]) -> None:
    """Print lines, in colour where standard output is a terminal that has them."""
    write = text_of
    if sys.stdout.isatty():
        from conducto_cli.view.screen import coloured, is_live_terminal, wants_colour  # noqa: PLC0415

        if is_live_terminal(sys.stdout, os.environ) and wants_colour(os.environ):
            write = coloured
    for line in lines:
        print(write(line))
