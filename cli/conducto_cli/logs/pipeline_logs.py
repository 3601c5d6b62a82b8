"""``conducto logs`` for several nodes: their output in one sequence, ordered by time."""

import argparse
import os
import re
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from conducto.errors import UsageError
from conducto.wire.printable import suggestion
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.target.connection import OpenClient
from conducto_cli.text.text import printable
from conducto_cli.view.model import AttemptOutput, MergedOutput, OutputLine, PipelineModel
from conducto_cli.view.plain import LinePrinter, LineStyle, source_columns
from conducto_cli.view.screen import wants_colour
from conducto_cli.view.watch import watch
from conducto_client import Client
from conducto_core.run.model.params import MAX_TREE_PAGE, ImageLogParams, Stream
from conducto_core.run.model.records import AttemptRecord, NodeChange
from conducto_core.run.model.requests import EventBatch, NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED as FAILED_STATES
from conducto_core.run.model.states import FINISHED, NodeType, State

STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")
#: Options of the raw output of one attempt.
_OF_ONE = ("attempt", "lines", "download")
_STARTED = FINISHED | {State.RUNNING}
#: Seconds between two requests for new output, at least.
_POLL_SECONDS = 0.5


def print_merged(
    open_client: OpenClient,
    client: Client,
    summary: PipelineSummary,
    node: NodeView,
    arguments: argparse.Namespace,
) -> int:
    """Print the output of all Execs at and below a node; return the exit code."""
    given = [name for name in _OF_ONE if getattr(arguments, name) is not None]
    if given:
        raise UsageError(f"--{given[0]} is for one Exec, without times: conducto logs ID PATH")
    one = node.type is NodeType.EXEC
    pattern = _pattern(arguments, one=one)
    sources = list(_sources(client, summary.pipeline.id, node.path, failed=arguments.failed))
    streams = STREAMS if arguments.stream is None else (arguments.stream,)
    merged = MergedOutput(client, summary.pipeline.id, streams)
    for source in sources:
        if source.ended is None or source.ended >= (arguments.since or 0.0):
            merged.add(source.output)
    style = style_for(os.environ, [source.output for source in sources])
    style.paths, style.stamps, style.as_json = not one, arguments.stamps, arguments.json
    style.origin = summary.started or 0.0
    printer = LinePrinter(sys.stdout.write, style, pattern=pattern, since=arguments.since or 0.0)
    _print(merged.lines(final=not arguments.follow), printer, arguments.tail)
    sys.stdout.flush()
    if arguments.follow:
        wanted = _Wanted(node.path, failed=arguments.failed)
        view = OutputView(printer, streams, wanted, merged)
        watch(open_client, summary.pipeline.id, view)
    if printer.number == 0 and not sources and not arguments.json:
        print(f"conducto: {_nothing(arguments)}", file=sys.stderr)
    return FAILED if pattern is not None and printer.number == 0 else DONE


def _pattern(arguments: argparse.Namespace, *, one: bool) -> "re.Pattern[str] | None":
    """Return the pattern of ``--search``; for one Exec it is a text without ``--regex``."""
    text = arguments.search
    if text is None:
        if arguments.regex or arguments.ignore_case:
            raise UsageError("--regex and --ignore-case are for --search")
        return None
    flags = re.IGNORECASE if arguments.ignore_case else 0
    try:
        return re.compile(re.escape(text) if one and not arguments.regex else text, flags)
    except re.error as error:
        raise UsageError(f"--search {text!r} is not a regular expression: {error}") from error


def _nothing(arguments: argparse.Namespace) -> str:
    return "nothing failed" if arguments.failed else "no command has run yet, so none has printed"


class _Source:
    """An attempt in the tree."""

    def __init__(self, output: AttemptOutput, ended: float | None) -> None:
        self.output = output
        self.ended = ended


def _sources(client: Client, pipeline_id: str, root: str, *, failed: bool) -> Iterator[_Source]:
    """Yield the newest attempt of each Exec at and below a node that has started."""
    views = client.tree(
        pipeline_id, root=root, failed=failed, attempts="newest", limit=MAX_TREE_PAGE
    )
    for view in views:
        output = output_of(view)
        if output is not None:
            yield _Source(output, view.attempts[-1].ended)


def output_of(view: NodeView) -> AttemptOutput | None:
    """Return the newest attempt of an Exec, if it has started."""
    if view.type is not NodeType.EXEC or not view.attempts:
        return None
    attempt = view.attempts[-1]
    started = attempt.queued if attempt.started is None else attempt.started
    return AttemptOutput(view.path, attempt.number, started or 0.0, silent=_is_silent(attempt))


def _is_silent(attempt: AttemptRecord) -> bool:
    """Return whether an attempt has ended and printed nothing, so that no request is needed."""
    never_started = attempt.ended is not None and attempt.started is None
    return never_started or attempt.output_bytes == 0


def attempt_of(change: NodeChange) -> AttemptOutput:
    silent = change.state in FINISHED and change.output_bytes == 0
    return AttemptOutput(change.path, change.attempt, change.time, silent=silent)


def style_for(environ: Mapping[str, str], sources: Sequence[AttemptOutput]) -> LineStyle:
    terminal = sys.stdout.isatty()
    forced = any(environ.get(name) for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "BUILDKITE"))
    return LineStyle(
        colour=(terminal or forced) and wants_colour(environ),
        columns=shutil.get_terminal_size().columns if terminal else None,
        path_columns=max((source_columns(each.path, each.number) for each in sources), default=0),
    )


def _print(lines: Iterator[OutputLine], printer: LinePrinter, tail: int | None) -> None:
    if tail is None:
        for line in lines:
            printer.show(line)
        return
    for line in deque(filter(printer.wants, lines), maxlen=tail):
        printer.show(line)


class _Wanted:
    """The nodes whose output is followed."""

    def __init__(self, root: str, *, failed: bool = False) -> None:
        self._root = root
        self._failed = failed

    def includes(self, path: str, state: str) -> bool:
        below = self._root in ("/", path) or path.startswith(f"{self._root}/")
        return below and (not self._failed or state in FAILED_STATES)


class OutputView:
    """A `conducto_cli.view.watch.View` that prints the output of attempts as it comes."""

    def __init__(
        self,
        printer: LinePrinter,
        streams: Sequence[Stream] = STREAMS,
        wanted: _Wanted | None = None,
        merged: MergedOutput | None = None,
    ) -> None:
        self._printer = printer
        self._streams = streams
        self._wanted = _Wanted("/") if wanted is None else wanted
        self._merged = merged
        self._next = 0.0

    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        """Keep the client; no keys."""
        del pressed
        if self._merged is None:
            self._merged = MergedOutput(client, pipeline_id, self._streams)
        return nullcontext()

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        del model
        for view in views:
            output = output_of(view)
            if output is not None and self._wanted.includes(view.path, view.state):
                self._add(output)

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        for change in batch.changes:
            row = model.rows.get(change.path)
            if row is None or not row.is_exec or change.state not in _STARTED:
                continue
            if self._wanted.includes(change.path, change.state):
                self._add(attempt_of(change))

    def refresh(self, model: PipelineModel) -> None:
        """Print new output, without more than half of the time spent on requests."""
        del model
        began = time.monotonic()
        if began < self._next:
            return
        self.show()
        self._next = time.monotonic() + max(_POLL_SECONDS, time.monotonic() - began)

    def finish(self, model: PipelineModel) -> None:
        if model.is_settled:
            self.show(final=True)

    def _add(self, output: AttemptOutput) -> None:
        if self._merged is not None:
            self._merged.add(output)

    def show(self, *, final: bool = False) -> None:
        if self._merged is not None:
            for line in self._merged.lines(final=final):
                self._printer.show(line)
            sys.stdout.flush()


# ----------------------------------------------------------------------------------------
# The output of an image's build, copied to the terminal.


_FOLLOW_SECONDS = 20.0


def copy_build_log(client: Client, pipeline_id: str, name: str, *, follow: bool) -> None:
    """Print what the build of an image printed, and what it prints until it ends.

    Raises:
        UsageError: the pipeline has no such image; names the nearest.
    """
    known = [image.name for image in client.images(pipeline_id)]
    if name not in known:
        there = suggestion(name, known) or f"; there are: {', '.join(map(printable, known))}"
        raise UsageError(f"no image {name!r} in this pipeline{there if known else ''}")
    wait = _FOLLOW_SECONDS if follow else 0.0
    query = ImageLogParams(id=pipeline_id, image=name, wait=wait)
    while True:
        chunk = client.image_log_page(query)
        sys.stdout.write(chunk.text)
        sys.stdout.flush()
        # Behind `next` there may be the beginning of a character that is not whole yet.
        at_end = chunk.next >= chunk.size or chunk.next == chunk.offset
        if at_end and (chunk.complete or not follow):
            return
        query = query.model_copy(update={"offset": chunk.next})
