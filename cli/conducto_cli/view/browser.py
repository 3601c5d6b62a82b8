"""A cursor over the tree: which rows are open, and which lines to show around the cursor.

No I/O. The cost depends on the size of the screen, not of the tree.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from conducto_cli.view.model import Interest, PipelineModel, Row
from conducto_core.model.nodes import ancestors

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
        """Return whether the children of a row are shown."""
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
