"""Stays with a pipeline until it settles, and shows it."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from conducto_cli.app.exit import ExitGate
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.plain import PlainPrinter
from conducto_client import ApiError, Client
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.requests import EventBatch, NodeView
from conducto_core.run.model.states import State

if TYPE_CHECKING:
    from conducto_cli.view.key_bindings import KeyBindings

FRAME_SECONDS = 0.1
IDLE_FRAME_SECONDS = 0.25
REFRESH_SECONDS = 0.5
WAITS_SECONDS = 2.0
_CHUNK = 1000
#: Queued nodes whose reasons are fetched again; a screen shows fewer.
_MAX_QUEUED = 50
_SILENT = {ImageState.PENDING, ImageState.QUEUED, ImageState.DONE, ImageState.ERROR}


class View(Protocol):
    """Somewhere to show a pipeline."""

    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> "AbstractContextManager[KeyBindings | None]":
        """Hold what the view needs while it is live; give what keys do, None without keys.

        ``pressed`` is called for each key, by any thread.
        """

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

    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        del client, pipeline_id, pressed
        return nullcontext()

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Print the nodes that have ended already."""
        self._printer.nodes(model, views)

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        self._printer.show(model, batch)

    def refresh(self, model: PipelineModel) -> None:
        self._printer.images(model)

    def finish(self, model: PipelineModel) -> None:
        """Print images that moved last."""
        self._printer.images(model)


def view_for(
    stream: TextIO, environ: Mapping[str, str], *, plain: bool, since: float = 0.0
) -> View:
    """Return the live view for a terminal that can repaint, else plain lines from ``since`` on."""
    if plain or not stream.isatty():
        return PlainView(stream, since)
    from conducto_cli.view.screen import is_live_terminal, wants_colour  # noqa: PLC0415

    if not is_live_terminal(stream, environ):
        return PlainView(stream, since)
    from conducto_cli.view.live_view import LiveView  # noqa: PLC0415 - needs a terminal

    return LiveView(stream, colour=wants_colour(environ), clock=time.time)


@dataclass(frozen=True, slots=True)
class _Nodes:
    """A page of the tree; ``seq`` is the newest change it includes."""

    views: tuple[NodeView, ...]
    seq: int
    last: bool


@dataclass(frozen=True, slots=True)
class _Key:
    name: str


_Message = _Nodes | EventBatch | _Key | Exception


class _Follower:
    """Reads the tree and then the events in a thread of its own, into a queue."""

    def __init__(
        self,
        client: Client,
        pipeline_id: str,
        messages: "queue.SimpleQueue[_Message]",
        *,
        until_settled: bool,
    ) -> None:
        self._until_settled = until_settled
        self._messages = messages
        self._client = client
        self._id = pipeline_id
        self._newest = 0
        self._gate = client.gate = ExitGate()

    def start(self) -> None:
        """Begin; the thread is a daemon, for it may wait for events without a limit."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def leave(self) -> None:
        """Stop reading; later events are dropped."""
        self._gate.close()

    def _run(self) -> None:
        try:
            with self._client as client:
                for batch in client.events(self._id, self._cursor()):
                    self._messages.put(batch)
                    if self._until_settled and _is_last(batch, self._newest):
                        return
        except Exception as error:  # noqa: BLE001 - raised again by the thread that reads the queue
            self._messages.put(error)

    def _cursor(self) -> int:
        """Read the tree; return where its events continue: at the state of its first page."""
        first = after = None
        while True:
            page = self._client.tree_page(self._id, after=after, limit=_CHUNK)
            self._newest = page.seq
            first = page.seq if first is None else first
            self._messages.put(_Nodes(page.nodes, page.seq, page.next is None))
            if page.next is None:
                return first
            after = page.next


def _is_last(batch: EventBatch, newest: int) -> bool:
    return batch.pipeline.settled and batch.pipeline.seq >= newest


def watch(
    open_client: Callable[[], Client],
    pipeline_id: str,
    view: View,
    clock: Callable[[], float] = time.monotonic,
    *,
    linger: bool = False,
) -> PipelineModel:
    """Show a pipeline until it settles or the user leaves; return its state then.

    Args:
        open_client: Makes a client; two are needed, since one belongs to one thread.
        clock: Seconds, only for the pace of painting.
        linger: One that has settled already stays in view, if there is somebody to leave it.

    Raises:
        conducto_client.ClientError: the agent refuses or is unreachable.
        KeyboardInterrupt: the user wants to leave.
    """
    with open_client() as client:
        model = PipelineModel(client.get(pipeline_id))
        messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        with view.session(client, pipeline_id, lambda key: messages.put(_Key(key))) as bindings:
            # A user may continue it after it has settled; then there are further events.
            settles = bindings is None
            follower = _Follower(open_client(), pipeline_id, messages, until_settled=settles)
            follower.start()
            if bindings is not None:
                bindings.stays = linger and model.summary.settled
            try:
                for _ in _turns(client, model, messages, _Person(view, bindings), clock):
                    view.refresh(model)
            finally:
                follower.leave()
                view.finish(model)
    return model


@dataclass(frozen=True, slots=True)
class _Person:
    """The user at the terminal, and the effects of their keys."""

    view: View
    bindings: "KeyBindings | None"

    def is_done(self, *, settled: bool) -> bool:
        keys = self.bindings
        if keys is None or not settled:
            return settled or (keys is not None and keys.left)
        return keys.left or not (keys.stays or keys.is_busy)


def _turns(
    client: Client,
    model: PipelineModel,
    messages: "queue.SimpleQueue[_Message]",
    person: _Person,
    clock: Callable[[], float],
) -> Iterator[None]:
    """Yield each time there is something to paint, until there is nothing more to show."""
    loaded = False
    looked = asked = painted = clock()
    while not person.is_done(settled=loaded and model.is_settled):
        for message in _received(messages, painted, clock):
            loaded = _apply(client, model, person, message) or loaded
            if person.is_done(settled=loaded and model.is_settled):
                break  # do not wait for the next frame
        if person.bindings is not None and loaded and not model.is_settled:
            person.bindings.stays = False  # it continues: its end is an end
        if clock() - looked >= REFRESH_SECONDS:
            _poll_facts(client, model)
            if person.bindings is not None:
                person.bindings.refresh_output()
            looked = clock()
        if loaded and model.summary.counts.queued and clock() - asked >= WAITS_SECONDS:
            _explain(client, model)
            asked = clock()
        painted = clock()
        yield


def _received(
    messages: "queue.SimpleQueue[_Message]", painted: float, clock: Callable[[], float]
) -> Iterator[_Message]:
    """Yield the received messages, waiting so that two frames are `FRAME_SECONDS` apart."""
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


def _apply(client: Client, model: PipelineModel, person: _Person, message: _Message) -> bool:
    """Apply a message to the model; return whether the tree is complete with it."""
    match message:
        case _Nodes():
            model.add(message.views)
            model.seq = max(model.seq, message.seq)
            if any(view.attempts for view in message.views) and not model.images_ended:
                # The summary is older than the tree: an image ended before the commands in it.
                images = client.get(model.summary.pipeline.id).images
                model.summary = model.summary.model_copy(update={"images": images})
            person.view.added(model, message.views)
            return message.last
        case EventBatch():
            model.apply(message)
            while model.unexplained:
                model.add(_one(client, model, model.unexplained.pop()))
            while model.grown:
                model.add(client.tree(model.summary.pipeline.id, root=model.grown.pop()))
            person.view.changed(model, message)
            return False
        case _Key():
            if person.bindings is not None:
                person.bindings.press(model, message.name)
            return False
        case Exception():
            raise message


def _one(client: Client, model: PipelineModel, path: str) -> Iterator[NodeView]:
    """Yield the node at a path, unless it no longer exists."""
    with suppress(ApiError):
        yield from client.tree(model.summary.pipeline.id, root=path, depth=0, attempts="newest")


def _explain(client: Client, model: PipelineModel) -> None:
    """Fetch why nodes are queued: a reason can change without an event."""
    query = TreeParams(
        id=model.summary.pipeline.id, state=State.QUEUED, limit=_MAX_QUEUED, attempts="none"
    )
    model.explain(client.nodes(query).nodes)


def _poll_facts(client: Client, model: PipelineModel) -> None:
    """Fetch facts without an event: the builds' output, and a settlement without a change."""
    summary = client.get(model.summary.pipeline.id)
    if summary.seq <= model.seq and summary.settled:
        # Otherwise the next batch of events reports it, and a waiting batch may be older than this.
        model.summary = summary
    for image in model.summary.images:
        if image.state not in _SILENT:
            text = client.image_log(summary.pipeline.id, image.name)
            model.build_lines[image.name] = last_line(text)


def last_line(text: str) -> str:
    """Return the last line that is not blank; a progress bar's newest state counts as one."""
    lines = text.replace("\r", "\n").rstrip().rpartition("\n")
    return lines[2].strip()
