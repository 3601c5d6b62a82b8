"""``conducto logs``: the output of a node, of all nodes, or of the build of an image."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import base64
import queue
import sys
import threading
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_line_range, a_moment, a_positive, add_id
from conducto_cli.app.exit import DONE, FAILED, ExitGate
from conducto_cli.app.output import as_json
from conducto_cli.text.text import printable
from conducto_core.run.model.states import Cause, NodeType

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.run.model.params import Stream
    from conducto_core.run.model.records import AttemptRecord
    from conducto_core.run.model.requests import NodeView
    from conducto_core.run.model.responses import LogMatch


#: Seconds that one question for more output waits.
FOLLOW_SECONDS = 20.0
#: Seconds between two checks whether a node has started.
PENDING_SECONDS = 0.3
_CHUNK = 1 << 20
_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="an Exec; or a group, for all below it (default: all nodes)",
    )
    parser.add_argument(
        "--attempt", type=a_positive, metavar="N", help="counted from 1 (default: the newest)"
    )
    parser.add_argument(
        "--image", metavar="NAME", help="instead, what the build of an image printed"
    )
    parser.add_argument(
        "--service",
        metavar="NAME",
        help="instead, what a service beside the command printed; 'all' for all of them",
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="stay until the attempt has ended, or with several nodes the pipeline",
    )
    parser.add_argument(
        "--failed", action="store_true", help="with several nodes: only those that failed"
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=a_moment,
        help="only lines printed since: 10m (ago), or 2026-01-31T18:00",
    )
    stamps = parser.add_mutually_exclusive_group()
    stamps.add_argument(
        "--timestamps",
        action="store_const",
        const="iso",
        dest="stamps",
        help="the time in front of each line, to a tenth of a second",
    )
    stamps.add_argument(
        "--relative",
        action="store_const",
        const="relative",
        dest="stamps",
        help="the seconds since the pipeline started instead",
    )
    stream = parser.add_mutually_exclusive_group()
    stream.add_argument(
        "--stdout", action="store_const", const="stdout", dest="stream", help="only this stream"
    )
    stream.add_argument(
        "--stderr", action="store_const", const="stderr", dest="stream", help="only this stream"
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--tail", metavar="N", type=a_positive, help="only the last N lines")
    part.add_argument(
        "--lines",
        metavar="FROM[:TO]",
        type=a_line_range,
        help="only these lines, counted from 1, TO included",
    )
    part.add_argument(
        "--search",
        metavar="TEXT",
        help="only lines that hold TEXT, each with its number; with several nodes, only lines that "
        "match this regular expression",
    )
    part.add_argument(
        "--download",
        metavar="FILE",
        help="write it to a file instead; stderr goes to FILE.stderr",
    )
    parser.add_argument("--regex", action="store_true", help="--search with a regular expression")
    parser.add_argument("-i", "--ignore-case", action="store_true", help="--search in any case")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.logs.pipeline_logs import copy_build_log
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.lookup import find_pipeline

    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.image is not None:
            _check_image(arguments)
            copy_build_log(client, pipeline_id, arguments.image, follow=arguments.follow)
            return DONE
        node = selection.one_view(client, pipeline_id, arguments.path or "/")
        if arguments.service is not None:
            _print_service(client, pipeline_id, node, arguments)
            return DONE
        if node.type is not NodeType.EXEC or arguments.stamps or arguments.since is not None:
            from conducto_cli.logs.pipeline_logs import print_merged

            return print_merged(open_client, client, summary, node, arguments)
        _check(arguments)
        path = node.path
        attempt = _attempt(client, pipeline_id, path, arguments)
        _tell_why_not_started(path, attempt)
        output = _Output(client, {"id": pipeline_id, "path": path, "attempt": attempt.number})
        streams = _STREAMS if arguments.stream is None else (arguments.stream,)
        if arguments.search is not None:
            return _search(output, arguments, streams)
        if arguments.download is not None:
            return _download(output, arguments.download, streams)
        for stream in () if arguments.follow else streams:
            _print(output, arguments, stream)
    if arguments.follow:
        _follow(open_client, output.which, arguments, streams)
    return DONE


def _follow(
    open_client: OpenClient,
    which: dict[str, Any],
    arguments: argparse.Namespace,
    streams: tuple[Stream, ...],
) -> None:
    """Print streams as they grow, all at the same time, each with a client of its own."""
    ended: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    gate = ExitGate()

    def follow(stream: Stream) -> None:
        try:
            with open_client() as client:
                client.gate = gate
                _print(_Output(client, which), arguments, stream)
        except Exception as error:  # noqa: BLE001 - raised again below, in the main thread
            ended.put(error)
        else:
            ended.put(None)

    for stream in streams:
        threading.Thread(target=follow, args=(stream,), name=stream, daemon=True).start()
    try:
        for _ in streams:
            error = ended.get()
            if error is not None:
                raise error
    finally:
        gate.close()


def _check(arguments: argparse.Namespace) -> None:
    parts = [f"--{name}" for name in ("lines", "search", "download") if _given(arguments, name)]
    if arguments.follow and parts:
        raise UsageError(f"--follow: not together with {parts[0]}")
    if arguments.search is None and (arguments.regex or arguments.ignore_case):
        raise UsageError("--regex and --ignore-case are for --search TEXT")
    if arguments.json and arguments.search is None:
        raise UsageError("--json is for --search TEXT; output itself is bytes, printed as they are")
    if arguments.failed:
        raise UsageError("--failed is for several nodes: conducto logs ID --failed")


def _print_service(
    client: Client, pipeline_id: str, node: NodeView, arguments: argparse.Namespace
) -> None:
    """Print the output of a service, or of all."""
    if node.type is not NodeType.EXEC:
        raise UsageError(
            f"--service {arguments.service} needs the path of a command, but {node.path} is a "
            f"{node.type.value}; see the paths: conducto tree {pipeline_id}"
        )
    name = None if arguments.service == "all" else arguments.service
    found = client.service_output(pipeline_id, node.path, service=name, attempt=arguments.attempt)
    if arguments.json:
        print(as_json(found))
        return
    sys.stdout.write(found.text)
    if not found.text:
        which = "its services" if name is None else f"the service {name!r}"
        print(f"{node.path}: there is no output of {which}", file=sys.stderr)


def _check_image(arguments: argparse.Namespace) -> None:
    given = next(_parts_of_output(arguments), None)
    if given is not None:
        raise UsageError(
            f"--image: not together with {given}; the log of a build is printed as a whole, and "
            "has no attempts, times or streams"
        )


def _parts_of_output(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.path is not None:
        yield arguments.path
    if arguments.stream is not None:
        yield f"--{arguments.stream}"
    if arguments.stamps is not None:
        yield "--relative" if arguments.stamps == "relative" else "--timestamps"
    for name in ("attempt", "since", "tail", "lines", "search", "download"):
        if _given(arguments, name):
            yield f"--{name}"
    for name in ("failed", "regex", "ignore_case", "json"):
        if getattr(arguments, name):
            yield f"--{name.replace('_', '-')}"


def _given(arguments: argparse.Namespace, name: str) -> bool:
    return getattr(arguments, name) is not None


class _Output:
    """What one attempt printed."""

    def __init__(self, client: Client, which: dict[str, Any]) -> None:
        self.client = client
        self.which = which

    def chunks(self, stream: Stream, offset: int, *, follow: bool) -> Iterator[bytes]:
        which = self.which
        while True:
            chunk = self.client.log(
                which["id"],
                which["path"],
                attempt=which["attempt"],
                stream=stream,
                offset=offset,
                limit=_CHUNK,
                wait=FOLLOW_SECONDS if follow else 0.0,
            )
            data = base64.b64decode(chunk.data)
            if data:
                yield data
            offset = chunk.offset + len(data)
            if not data and (chunk.complete or not follow):
                return


def _print(output: _Output, arguments: argparse.Namespace, stream: Stream) -> None:
    # Both streams go each to its own; one that was asked for goes where a pipe reads it.
    both = arguments.stream is None and stream == "stderr"
    target = sys.stderr.buffer if both else sys.stdout.buffer
    if arguments.lines is not None:
        for data in _lines(output, stream, *arguments.lines):
            target.write(data)
        target.flush()
        return
    offset = 0
    if arguments.tail is not None:
        offset = _tail(output, stream, arguments.tail)
    for data in output.chunks(stream, offset, follow=arguments.follow):
        with output.client.gate:
            _write(target, data)


def _write(target: BinaryIO, data: bytes) -> None:
    target.write(data)
    target.flush()


def _tail(output: _Output, stream: Stream, count: int) -> int:
    """Return where the last ``count`` lines begin."""
    from conducto_core.run.model.params import LogLinesParams

    last = output.client.log_lines(
        LogLinesParams(**output.which, stream=stream, first=-count, count=1)
    )
    return 0 if last.offset is None else last.offset


def _lines(output: _Output, stream: Stream, first: int, last: int | None) -> Iterator[bytes]:
    """Yield the lines from ``first`` to ``last``, counted from 1, with their ends."""
    from conducto_core.run.model.params import MAX_LOG_LINES, LogLinesParams

    at = first - 1
    while last is None or at < last:
        count = MAX_LOG_LINES if last is None else min(MAX_LOG_LINES, last - at)
        page = output.client.log_lines(
            LogLinesParams(**output.which, stream=stream, first=at, count=count)
        )
        if not page.lines:
            return
        yield "".join(f"{line}\n" for line in page.lines).encode()
        at = page.first + len(page.lines)


def _search(output: _Output, arguments: argparse.Namespace, streams: tuple[Stream, ...]) -> int:
    """Print the lines that match, as ``grep -n`` does; return 1 when there are none.

    With ``--json``: ``{"id", "path", "attempt", "matches": [{"stream", "line", ...}]}``, lines
    counted from 1, the rest as in `conducto_core.run.model.responses.LogMatch`.
    """
    found, documents = False, list[dict[str, Any]]()
    for stream, match in _matches(output, arguments, streams):
        found = True
        line = None if match.line is None else match.line + 1
        if arguments.json:
            documents.append({"stream": stream, **match.model_dump(mode="json"), "line": line})
        else:
            number = "?" if line is None else line
            where = f"{number}:" if len(streams) == 1 else f"{stream}:{number}:"
            print(f"{where}{match.text}")
    if arguments.json:
        print(as_json({**output.which, "matches": documents}))
    return DONE if found else FAILED


def _matches(
    output: _Output, arguments: argparse.Namespace, streams: tuple[Stream, ...]
) -> Iterator[tuple[Stream, LogMatch]]:
    from conducto_core.run.model.params import LogSearchParams

    for stream in streams:
        query = LogSearchParams(
            **output.which,
            stream=stream,
            text=arguments.search,
            regex=arguments.regex,
            ignore_case=arguments.ignore_case,
        )
        while True:
            page = output.client.search_log(query)
            for match in page.matches:
                yield stream, match
            if page.next is None:
                break
            query = query.model_copy(update={"offset": page.next})


def _download(output: _Output, name: str, streams: tuple[Stream, ...]) -> int:
    """Write streams to files; an empty stderr makes none when both were wanted."""
    from conducto_core.run.model.params import LogFileParams

    for stream in streams:
        beside = len(streams) > 1 and stream == "stderr"
        file = Path(f"{name}.stderr" if beside else name)
        chunks = output.client.download_log(LogFileParams(**output.which, stream=stream))
        first = next(chunks, b"")
        if beside and not first:
            continue
        size = 0
        try:
            with file.open("wb") as target:
                for chunk in chain([first], chunks):
                    size += target.write(chunk)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
        print(f"{file}: {size:,} bytes")
    return DONE


def _attempt(
    client: Client, pipeline_id: str, path: str, arguments: argparse.Namespace
) -> AttemptRecord:
    """Return the attempt that is meant; with ``--follow``, wait for the first one."""
    attempts = {attempt.number: attempt for attempt in client.attempts(pipeline_id, path)}
    if not attempts and arguments.follow:
        attempts = _wait_for_attempt(client, pipeline_id, path)
    if not attempts:
        raise UsageError(f"{path}: has not run, so it printed nothing")
    wanted = arguments.attempt
    number = max(attempts) if wanted is None else wanted
    if number not in attempts:
        there = ", ".join(map(str, attempts))
        raise UsageError(f"{path}: no attempt {number}; there are: {there}")
    return attempts[number]


def _wait_for_attempt(client: Client, pipeline_id: str, path: str) -> dict[int, AttemptRecord]:
    """Return the attempts of a node once there is one; none if the pipeline ends before."""
    print(f"conducto: {printable(path)} has not started; waiting", file=sys.stderr)
    while True:
        settled = client.get(pipeline_id).settled
        attempts = {attempt.number: attempt for attempt in client.attempts(pipeline_id, path)}
        if attempts or settled:
            return attempts
        time.sleep(PENDING_SECONDS)


def _tell_why_not_started(path: str, attempt: AttemptRecord) -> None:
    """Print on stderr why there is no output, if the command never started."""
    if (
        attempt.cause in {Cause.IMAGE, Cause.NO_CAPACITY, Cause.NO_WORKER}
        and attempt.message is not None
    ):
        text = f"{path}: attempt {attempt.number} did not start: {printable(attempt.message)}"
        print(f"conducto: {text}", file=sys.stderr)
