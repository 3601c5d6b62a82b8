"""Stays with a pipeline until it settles, and shows it."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TextIO

from conducto.cli.view.model import PipelineModel
from conducto.cli.view.plain import PlainPrinter
from conducto.cli.view.screen import Frame, render
from conducto.cli.view.text import marks_for
from conducto.client import Client
from conducto.model.api import EventBatch, NodeView
from conducto.model.records import ImageState

FRAME_SECONDS = 0.1
IDLE_FRAME_SECONDS = 0.25
REFRESH_SECONDS = 0.5
#: Lines of the picture that stays when the pipeline has settled.
FINAL_ROWS = 20
_CHUNK = 1000
_SILENT = {ImageState.PENDING, ImageState.QUEUED, ImageState.DONE, ImageState.ERROR}


class View(Protocol):
    """Somewhere to show a pipeline."""

    def session(self) -> AbstractContextManager[None]:
        """Hold what the view needs while it is live."""

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Nodes have been added to the model."""

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        """A batch has been applied to the model."""

    def refresh(self, model: PipelineModel) -> None:
        """Time has passed."""

    def finish(self, model: PipelineModel) -> None:
        """Show how things stand for the last time."""


class PlainView:
    """Lines, for a stream that is not a terminal."""

    def __init__(self, stream: TextIO, since: float = 0.0) -> None:
        self._printer = PlainPrinter(lambda line: print(line, file=stream, flush=True), since)

    def session(self) -> AbstractContextManager[None]:
        """Nothing to hold."""
        return nullcontext()

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Print what has ended already."""
        self._printer.nodes(model, views)

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        """Print what the batch brought."""
        self._printer.show(model, batch)

    def refresh(self, model: PipelineModel) -> None:
        """Print images that moved."""
        self._printer.images(model)

    def finish(self, model: PipelineModel) -> None:
        """Print images that moved last."""
        self._printer.images(model)


class LiveView:
    """A picture of the tree, repainted in place."""

    def __init__(self, stream: TextIO, *, colour: bool, clock: Callable[[], float]) -> None:
        from conducto.cli.view.painter import Painter  # noqa: PLC0415 - needs a terminal

        self._painter = Painter(stream, colour=colour)
        self._marks = marks_for(stream.encoding)
        self._clock = clock

    def session(self) -> AbstractContextManager[None]:
        """Hide the cursor and the echo of keys."""
        return self._painter.live()

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Leave it to the next refresh."""

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        """Leave it to the next refresh."""

    def refresh(self, model: PipelineModel) -> None:
        """Paint the tree as it is now."""
        columns, rows = self._painter.size()
        frame = Frame(columns, rows, self._clock(), self._marks)
        self._painter.paint(render(model, frame, footer="Ctrl-C detaches, the pipeline goes on"))

    def finish(self, model: PipelineModel) -> None:
        """Paint the tree for the last time, no larger than it needs to be."""
        columns, rows = self._painter.size()
        frame = Frame(columns, min(rows, FINAL_ROWS), self._clock(), self._marks)
        self._painter.paint(render(model, frame))


def view_for(
    stream: TextIO, environ: Mapping[str, str], *, plain: bool, since: float = 0.0
) -> View:
    """Return the live view for a terminal that can repaint, else plain lines from ``since`` on."""
    if plain or not stream.isatty():
        return PlainView(stream, since)
    from conducto.cli.view.painter import is_live_terminal, wants_colour  # noqa: PLC0415

    if not is_live_terminal(stream, environ):
        return PlainView(stream, since)
    return LiveView(stream, colour=wants_colour(environ), clock=time.time)


@dataclass(frozen=True, slots=True)
class _Nodes:
    """A page of the tree; ``seq`` is the newest change it includes."""

    views: tuple[NodeView, ...]
    seq: int
    last: bool


_Message = _Nodes | EventBatch | Exception


class _Follower:
    """Reads the tree and then the events in a thread of its own, into a queue."""

    def __init__(self, client: Client, pipeline_id: str) -> None:
        self.messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._client = client
        self._id = pipeline_id
        self._newest = 0

    def start(self) -> None:
        """Begin; the thread is a daemon, for it may wait for events for ever."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def _run(self) -> None:
        try:
            with self._client as client:
                for batch in client.events(self._id, self._cursor()):
                    self.messages.put(batch)
                    if batch.pipeline.settled and batch.pipeline.seq >= self._newest:
                        return
        except Exception as error:  # noqa: BLE001 - raised again by the thread that reads the queue
            self.messages.put(error)

    def _cursor(self) -> int:
        """Read the tree; return where its events go on: at what its first page includes."""
        first = after = None
        while True:
            page = self._client.tree_page(self._id, after=after, limit=_CHUNK)
            self._newest = page.seq
            first = page.seq if first is None else first
            self.messages.put(_Nodes(page.nodes, page.seq, page.next is None))
            if page.next is None:
                return first
            after = page.next


def watch(
    open_client: Callable[[], Client],
    pipeline_id: str,
    view: View,
    clock: Callable[[], float] = time.monotonic,
) -> PipelineModel:
    """Show a pipeline until it settles; return how it stands then.

    Args:
        open_client: Makes a client; two are needed, since one belongs to one thread.
        pipeline_id: Its full id.
        view: Where to show it.
        clock: Seconds, only for the pace of painting.

    Raises:
        conducto.client.ClientError: the agent refuses or is gone.
        KeyboardInterrupt: the user wants to leave.
    """
    with open_client() as client:
        model = PipelineModel(client.get(pipeline_id))
        follower = _Follower(open_client(), pipeline_id)
        follower.start()
        with view.session():
            try:
                for _ in _turns(client, model, follower, view, clock):
                    view.refresh(model)
            finally:
                view.finish(model)
    return model


def _turns(
    client: Client,
    model: PipelineModel,
    follower: _Follower,
    view: View,
    clock: Callable[[], float],
) -> Iterator[None]:
    """Yield each time there is something to paint, until the pipeline has settled."""
    loaded = False
    looked = painted = clock()
    while not (loaded and model.is_settled):
        for message in _received(follower.messages, painted, clock):
            loaded = _take(client, model, view, message) or loaded
        if clock() - looked >= REFRESH_SECONDS:
            _look(client, model)
            looked = clock()
        painted = clock()
        yield


def _received(
    messages: "queue.SimpleQueue[_Message]", painted: float, clock: Callable[[], float]
) -> Iterator[_Message]:
    """Yield what has come, waiting so that two frames are `FRAME_SECONDS` apart."""
    wait = IDLE_FRAME_SECONDS
    while True:
        left = painted + wait - clock()
        try:
            yield messages.get(timeout=max(0.0, left))
        except queue.Empty:
            return
        if left < 0:
            return
        wait = FRAME_SECONDS


def _take(client: Client, model: PipelineModel, view: View, message: _Message) -> bool:
    """Apply a message to the model; return whether the tree is complete with it."""
    match message:
        case _Nodes():
            model.add(message.views)
            model.seq = max(model.seq, message.seq)
            view.added(model, message.views)
            return message.last
        case EventBatch():
            model.apply(message)
            while model.grown:
                model.add(client.tree(model.summary.pipeline.id, root=model.grown.pop()))
            view.changed(model, message)
            return False
        case Exception():
            raise message


def _look(client: Client, model: PipelineModel) -> None:
    """Ask for what no event tells: the builds' output, and a settlement without a change."""
    summary = client.get(model.summary.pipeline.id)
    if summary.seq <= model.seq:
        model.summary = summary
    for image in model.summary.images:
        if image.state not in _SILENT:
            text = client.image_log(summary.pipeline.id, image.name)
            model.build_lines[image.name] = last_line(text)


def last_line(text: str) -> str:
    """Return the last line that is not blank; a progress bar's newest state counts as one."""
    lines = text.replace("\r", "\n").rstrip().rpartition("\n")
    return lines[2].strip()
