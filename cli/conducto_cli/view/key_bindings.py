"""The keys of the live view: move over the tree, read output, perform actions."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from conducto_cli.target.connection import message_of
from conducto_cli.text.actions import action_report
from conducto_cli.text.text import count_of, printable, shell_word
from conducto_cli.view.model import Interest, PipelineModel, Row
from conducto_client import ApiError, Client
from conducto_core.run.model.params import Stream
from conducto_core.run.model.requests import Action, ControlRequest, ControlResult
from conducto_core.tree.model import ancestors

# ----------------------------------------------------------------------------------------
# A cursor over the tree: which rows are open, and which lines to show around the cursor.
#
# No I/O. The cost depends on the size of the screen, not of the tree.


#: Groups that are open until a person says otherwise.
OPEN = frozenset({Interest.RUNNING, Interest.FAILING})


class Browser:
    """Where a person is in a tree.

    Attributes:
        path: The node under the cursor; None while nobody has moved it.
    """

    def __init__(self) -> None:
        self.path: str | None = None
        self._folds: dict[str, bool] = {}
        self._siblings: dict[str, tuple[list[Row], dict[str, int]]] = {}

    def row(self, model: PipelineModel) -> Row | None:
        """Return the row under the cursor, or of the nearest node above it that still exists."""
        if self.path is None:
            return None
        for path in (self.path, *ancestors(self.path)):
            if path in model.rows:
                return model.rows[path]
        return None

    def is_open(self, row: Row) -> bool:
        if not row.children:
            return False
        return self._folds.get(row.path, row.parent is None or row.interest in OPEN)

    def go(self, row: Row) -> None:
        """Put the cursor on a row; open the groups above it."""
        self.path = row.path
        above = row.parent
        while above is not None:
            self._folds[above.path] = True
            above = above.parent

    def fold(self, row: Row, *, opened: bool) -> None:
        """Open or close a group."""
        self._folds[row.path] = opened

    def window(self, model: PipelineModel, room: int) -> list[Row]:
        """Return the rows around the cursor, at most ``room``."""
        here = self.row(model)
        if here is None or room <= 0:
            return []
        before = list(islice(self._walk(here, self.before), room - 1))
        after = list(islice(self._walk(here, self.after), room - 1))
        first = min(len(before), max(room // 2, room - 1 - len(after)))
        return [*reversed(before[:first]), here, *after[: room - 1 - first]]

    def _walk(self, row: Row, step: Callable[[Row], Row | None]) -> Iterator[Row]:
        following = step(row)
        while following is not None:
            yield following
            following = step(following)

    def after(self, row: Row) -> Row | None:
        """Return the row that is shown below this one."""
        if self.is_open(row):
            return self._order(row)[0][0]
        here: Row | None = row
        while here is not None and here.parent is not None:
            order, places = self._order(here.parent)
            place = places[here.path] + 1
            if place < len(order):
                return order[place]
            here = here.parent
        return None

    def before(self, row: Row) -> Row | None:
        """Return the row that is shown above this one."""
        if row.parent is None:
            return None
        order, places = self._order(row.parent)
        place = places[row.path]
        if place == 0:
            return row.parent
        here = order[place - 1]
        while self.is_open(here):
            here = self._order(here)[0][-1]
        return here

    def _order(self, group: Row) -> tuple[list[Row], dict[str, int]]:
        """Return the children in order and the place of each; kept until there are others."""
        known = self._siblings.get(group.path)
        if known is not None and _is_current(known[0], group):
            return known
        order = list(group.children.values())
        fresh = (order, {row.path: place for place, row in enumerate(order)})
        self._siblings[group.path] = fresh
        return fresh


def _is_current(order: list[Row], group: Row) -> bool:
    """A group only grows at its end, or is emptied and filled again with new rows."""
    return len(order) == len(group.children) and group.children.get(order[-1].path) is order[-1]


def next_failed(model: PipelineModel, after: str | None) -> Row | None:
    """Return the next node that failed behind a path, in definition order, else the first one."""
    first = None
    passed = after is None
    for row in model.rows.values():
        if row.is_failure:
            if passed:
                return row
            first = row if first is None else first
        passed = passed or row.path == after
    return first


HELP = (
    ("up down k j", "move; page up, page down, home and end as well"),
    ("right left", "open or close a group; left also goes to the group above"),
    ("enter", "open or close a group, or read the output of an Exec"),
    ("n", "go to the next node that failed"),
    ("l", "read the output of the node"),
    ("d", "say how to get a shell where the node ran"),
    ("r", "rerun the node and all below it; it asks first"),
    ("R", "rerun everything that failed; it asks first"),
    ("s", "skip the node, or take it in again"),
    ("x", "kill running commands in the node"),
    ("space", "run or pause the pipeline"),
    ("escape", "back to the picture that follows what happens"),
    ("q", "leave; the pipeline continues"),
)
HINT = "? keys  jk select  r rerun  s skip  space {space}  q leave"
TAIL_BYTES = 64 << 10
_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")
_ON_NODE = frozenset("rsxld")


@dataclass
class KeyReading:
    """Output that is being read.

    Attributes:
        lines: ``{stream: last lines}``.
    """

    path: str
    lines: dict[Stream, list[str]] = field(default_factory=dict)


class KeyBindings:
    """The state of the person's side of a live view.

    Attributes:
        browser: The cursor.
        left: The person has left.
        stays: The view stays after the pipeline has settled, until the user leaves.
        helping: The list of keys is shown.
        reading: The output that is shown instead of the tree.
        note: What the last key did, or the question that is open.
    """

    def __init__(self, client: Client, pipeline_id: str) -> None:
        self.browser = Browser()
        self.left = False
        self.stays = False
        self.helping = False
        self.reading: KeyReading | None = None
        self.note = ""
        self._client = client
        self._id = pipeline_id
        self._asked: ControlRequest | None = None
        self._moves: dict[str, Callable[[PipelineModel, Row], None]] = {
            "up": self._up, "k": self._up, "down": self._down, "j": self._down,
            "page up": self._page_up, "page down": self._page_down,
            "home": self._home, "g": self._home, "end": self._end, "G": self._end,
            "left": self._close, "h": self._close, "right": self._open, "enter": self._enter,
        }  # fmt: skip

    @property
    def is_busy(self) -> bool:
        """Whether the person is in the middle of something, so that the view must not end."""
        return self.browser.path is not None or self._asked is not None or self.helping

    def press(self, model: PipelineModel, key: str) -> None:
        if self._asked is not None:
            self._respond(key)
            return
        self.note = ""
        if self.helping or self.reading is not None:
            if key in {"escape", "q", "l", "left", "enter", "?", "h"}:
                self.helping, self.reading = False, None
        elif key == "q":
            self.left = True
        elif key == "?":
            self.helping = True
        elif key == "escape":
            self.browser.path = None
        elif key == "space":
            pausing = model.summary.pipeline.armed
            self._send(ControlRequest(action=Action.PAUSE if pausing else Action.RUN))
        elif key == "R":
            self._propose_rerun(model, ControlRequest(action=Action.RERUN, failed=True))
        elif key == "n":
            self._next_failed(model)
        else:
            self._on_node(model, key)

    def _on_node(self, model: PipelineModel, key: str) -> None:
        """Handle a key that needs a node; the first such key only shows the cursor."""
        row = self.browser.row(model)
        if row is None:
            row = next_failed(model, None) or model.root
            if row is not None and (key in self._moves or key in _ON_NODE):
                self.browser.go(row)
                if key in _ON_NODE:
                    self.note = f"{key} again is for {printable(row.path)}"
            return
        if key in self._moves:
            self._moves[key](model, row)
        elif key == "l":
            self._read(row)
        elif key == "d":
            self.note = f"leave, then:\nconducto debug {self._id} {shell_word(row.path)}"
        elif key == "s":
            self._propose_on(row, Action.UNSKIP if row.skipped else Action.SKIP)
        elif key == "x":
            self._propose_on(row, Action.KILL)
        elif key == "r":
            request = ControlRequest(action=Action.RERUN, paths=(row.path,))
            self._propose_rerun(model, request)

    # ---- the cursor

    def _up(self, _model: PipelineModel, row: Row) -> None:
        self.browser.go(self.browser.before(row) or row)

    def _down(self, _model: PipelineModel, row: Row) -> None:
        self.browser.go(self.browser.after(row) or row)

    def _page_up(self, model: PipelineModel, row: Row) -> None:
        for _ in range(10):
            self._up(model, self.browser.row(model) or row)

    def _page_down(self, model: PipelineModel, row: Row) -> None:
        for _ in range(10):
            self._down(model, self.browser.row(model) or row)

    def _home(self, model: PipelineModel, row: Row) -> None:
        self.browser.go(model.root or row)

    def _end(self, model: PipelineModel, row: Row) -> None:
        last = model.root or row
        while self.browser.is_open(last):
            last = next(reversed(last.children.values()))
        self.browser.go(last)

    def _open(self, model: PipelineModel, row: Row) -> None:
        if row.children and not self.browser.is_open(row):
            self.browser.fold(row, opened=True)
        else:
            self._down(model, row)

    def _close(self, _model: PipelineModel, row: Row) -> None:
        if self.browser.is_open(row):
            self.browser.fold(row, opened=False)
        elif row.parent is not None:
            self.browser.go(row.parent)

    def _enter(self, _model: PipelineModel, row: Row) -> None:
        if row.is_exec:
            self._read(row)
        else:
            self.browser.fold(row, opened=not self.browser.is_open(row))

    def _next_failed(self, model: PipelineModel) -> None:
        row = next_failed(model, self.browser.path)
        if row is None:
            self.note = "nothing failed"
        else:
            self.browser.go(row)

    # ---- output

    def _read(self, row: Row) -> None:
        if not row.is_exec:
            self.note = f"{printable(row.path)} is a group; its Execs print"
        elif row.attempt == 0:
            self.note = f"{printable(row.path)} has not run"
        else:
            self.reading = KeyReading(row.path)
            self.refresh_output()

    def refresh_output(self) -> None:
        """Read again the end of the output that is shown, if one is."""
        if self.reading is None:
            return
        try:
            self.reading.lines = {stream: self._tail(stream) for stream in _STREAMS}
        except ApiError as error:
            self.reading, self.note = None, message_of(error)

    def _tail(self, stream: Stream) -> list[str]:
        assert self.reading is not None  # noqa: S101 - look() has seen to it
        chunk = self._client.log(
            self._id, self.reading.path, stream=stream, offset=-TAIL_BYTES, limit=TAIL_BYTES
        )
        text = base64.b64decode(chunk.data).decode("utf-8", "replace").removesuffix("\n")
        return text.split("\n") if text else []

    # ---- actions

    def _propose_on(self, row: Row, action: Action) -> None:
        """Perform an action on one Exec that does not run; ask before any other."""
        request = ControlRequest(action=action, paths=(row.path,))
        would = self._preview(request)
        if would is not None and would.affected == 1 and would.stopped == 0:
            self._send(request)
        elif would is not None:
            self._ask(request, would)

    def _propose_rerun(self, model: PipelineModel, request: ControlRequest) -> None:
        """Ask before commands run again, and name those that a paused pipeline also runs."""
        summary = model.summary
        others = 0 if summary.pipeline.armed else summary.counts.pending
        would = self._preview(request)
        if would is not None:
            self._ask(request, would, others)

    def _preview(self, request: ControlRequest) -> ControlResult | None:
        """Return the effect of an action; None with a note if it has none."""
        try:
            would = self._client.control(self._id, request.model_copy(update={"preview": True}))
        except ApiError as error:
            self.note = message_of(error)
            return None
        if would.affected == 0:
            self.note = "nothing failed" if request.failed else f"nothing to {request.action.value}"
            return None
        return would

    def _ask(self, request: ControlRequest, would: ControlResult, others: int = 0) -> None:
        self._asked = request
        self.note = _question(request.action.value, would, others)

    def _respond(self, key: str) -> None:
        request, self._asked = self._asked, None
        if key == "y" and request is not None:
            self._send(request)
        else:
            self.note = "not done"

    def _send(self, request: ControlRequest) -> None:
        """Perform an action and report it."""
        try:
            result = self._client.control(self._id, request)
        except ApiError as error:
            self.note = message_of(error)
            return
        first = action_report(request.action, self._id, result).partition("\n")[0]
        # The command to continue is left out: here there are keys.
        parts = [] if request.action is Action.RUN and result.notes else [first.partition("; ")[0]]
        self.note = "; ".join([*parts, *result.notes])


def _question(verb: str, would: ControlResult, others: int) -> str:
    named = printable(would.paths[0]) if would.affected == 1 else count_of(would.affected, "Exec")
    stops = (
        ""
        if not would.stopped
        else ", which runs"
        if would.affected == 1
        else (f", {would.stopped:,} of them running")
    )
    also = f"; {count_of(others, 'pending Exec')} will also run" if others else ""
    return f"{verb} {named}{stops}{also}? y or n"
