"""The verbs that only look: ``list``, ``show``, ``logs``."""

import argparse
import base64
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, Literal

from conducto.cli.addresses import UsageError, expand, has_wildcard, node_path
from conducto.cli.connection import DONE, OpenClient, find_pipeline
from conducto.cli.output import as_json, listing, pipeline_document
from conducto.cli.view.model import PipelineModel, Row, total
from conducto.cli.view.rows import counts_line, exec_line, group_line, header_line, place
from conducto.cli.view.text import Line, Marks, Role, Span, count_of, pad, printable, width
from conducto.client import ApiError, Client
from conducto.model.api import PipelineSummary

FOLLOW_SECONDS = 0.2
_LIST_COLUMNS = ("ID", "STATE", "DONE", "CREATED", "TITLE")
_NOT_FOUND = 404
_CHUNK = 1 << 20
_STREAMS: tuple[Literal["stdout"], Literal["stderr"]] = ("stdout", "stderr")


def list_(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the pipelines, the newest first."""
    with open_client() as client:
        summaries = client.list()
    if arguments.json:
        print(as_json(listing(summaries)))
    elif not summaries:
        print("no pipelines yet; launch one: python pipeline.py --local --run")
    else:
        for line in _table([_LIST_COLUMNS, *map(_cells, summaries)]):
            print(line)
    return DONE


def _cells(summary: PipelineSummary) -> tuple[str, ...]:
    counts = summary.counts
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.pipeline.created))
    done = f"{counts.done:,}/{total(counts):,}"
    return (
        summary.pipeline.id,
        summary.state.value,
        done,
        created,
        printable(summary.pipeline.title),
    )


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(pad(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()


def show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print or watch one pipeline."""
    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.json:
            print(as_json(pipeline_document(summary, client.tree(pipeline_id))))
            return DONE
        if arguments.failed:
            return _show_failed(client, summary)
        if arguments.once or (not sys.stdout.isatty() and not arguments.plain):
            return _show_once(client, summary)
    from conducto.cli.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=arguments.plain, since=time.time())


def _loaded(client: Client, summary: PipelineSummary) -> PipelineModel:
    model = PipelineModel(summary)
    model.add(client.tree(summary.pipeline.id))
    return model


def _show_failed(client: Client, summary: PipelineSummary) -> int:
    from conducto.cli.view.rows import cause_text  # noqa: PLC0415

    for row in _loaded(client, summary).failed_execs():
        facts = (
            printable(row.path),
            cause_text(row.cause, row.exit_code),
            place(row.file, row.line),
        )
        print("  ".join(fact for fact in facts if fact))
    return DONE


def _show_once(client: Client, summary: PipelineSummary) -> int:
    from conducto.cli.session import page, write_lines  # noqa: PLC0415

    model = _loaded(client, summary)
    marks, now = page().marks, time.time()
    write_lines([header_line(model, now, marks), counts_line(summary.counts)])
    write_lines(_whole_tree(model, now, marks))
    return DONE


def _whole_tree(model: PipelineModel, now: float, marks: Marks) -> Iterator[Line]:
    """Yield a line for each node, each with its state as a word."""
    stack = [(model.root, 0)] if model.root is not None else []
    while stack:
        row, depth = stack.pop()
        state = "skipped" if row.skipped else row.state.value
        yield (Span(f"{state:8}", Role.FAINT), Span("  " * depth), *_node_line(row, now, marks))
        stack += [(child, depth + 1) for child in reversed(row.children.values())]


def _node_line(row: Row, now: float, marks: Marks) -> Line:
    if row.is_exec:
        return exec_line(row, 0, now, marks)
    return group_line(row, 0, now, marks, opened=bool(row.children))


def logs(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the raw output of an attempt, or of an image's build."""
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        if arguments.image is not None:
            print(client.image_log(pipeline_id, arguments.image), end="")
            return DONE
        if arguments.path is None:
            raise UsageError("say which node: conducto logs ID PATH (or --image NAME)")
        path = exec_path(client, pipeline_id, arguments.path)
        attempt = _attempt_number(client, pipeline_id, path, arguments.attempt)
        streams = _STREAMS if arguments.stream is None else (arguments.stream,)
        for stream in streams:
            # Both streams go each to its own; one that was asked for goes where a pipe reads it.
            both = arguments.stream is None and stream == "stderr"
            target = sys.stderr.buffer if both else sys.stdout.buffer
            _copy(
                client,
                pipeline_id,
                path,
                attempt,
                stream,
                follow=arguments.follow,
                target=target,
            )
    return DONE


def exec_path(client: Client, pipeline_id: str, text: str) -> str:
    """Return the one node that a person means.

    Raises:
        UsageError: there is none, or several.
    """
    path = node_path(text)
    try:
        next(iter(client.tree(pipeline_id, root=path)))
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
    else:
        return path
    found = expand([text], [view.path for view in client.tree(pipeline_id)])
    if len(found) > 1 and has_wildcard(text):
        raise UsageError(f"{path}: matches {count_of(len(found), 'node')}; name one of them")
    return found[0]


def _attempt_number(client: Client, pipeline_id: str, path: str, wanted: int | None) -> int:
    numbers = [attempt.number for attempt in client.attempts(pipeline_id, path)]
    if not numbers:
        raise UsageError(f"{path}: has not run, so it printed nothing")
    if wanted is None:
        return numbers[-1]
    if wanted not in numbers:
        there = ", ".join(map(str, numbers))
        raise UsageError(f"{path}: no attempt {wanted}; there are: {there}")
    return wanted


def _copy(
    client: Client,
    pipeline_id: str,
    path: str,
    attempt: int,
    stream: Literal["stdout", "stderr"],
    *,
    follow: bool,
    target: BinaryIO,
) -> None:
    """Write a stream's bytes to ``target``."""
    offset = 0
    while True:
        chunk = client.log(
            pipeline_id, path, attempt=attempt, stream=stream, offset=offset, limit=_CHUNK
        )
        data = base64.b64decode(chunk.data)
        target.write(data)
        target.flush()
        offset = chunk.offset + len(data)
        if not data and (chunk.complete or not follow):
            return
        if not data:
            time.sleep(FOLLOW_SECONDS)
