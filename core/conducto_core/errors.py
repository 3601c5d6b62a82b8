"""Errors a definition or an order can cause.

ConductoError
├── DefinitionError      the tree is wrong; nothing has run
│   └── SeveralProblemsError     ... in several places
└── TransitionError      a bug of ours: an event that cannot happen in this state
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from conducto.wire.limits import shortened


class _TellingError(Exception):
    """What a client is told.

    Attributes:
        path: The node that it is about, where it is about one; the message begins with it.
    """

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class NotFoundError(_TellingError):
    """No such pipeline, node, attempt, image or data."""


class RefusedError(_TellingError):
    """The request makes no sense now; the message says why and what to do."""


#: Problems of one tree that a message tells.
MAX_TOLD = 20


class ConductoError(Exception):
    """The base of what the semantics raise."""


class DefinitionError(ConductoError):
    """The tree is wrong.

    Attributes:
        path: The node that is wrong; None when it is the tree as a whole.
    """

    def __init__(self, path: str | None, message: str) -> None:
        super().__init__(f"{shortened(path)}: {message}" if path is not None else message)
        self.path = path


class SeveralProblemsError(DefinitionError):
    """A tree is wrong in several places; the message has a line for each.

    Attributes:
        found: All of them.
    """

    def __init__(self, found: Sequence[DefinitionError]) -> None:
        lines = [f"the tree has {len(found):,} problems:"]
        lines += [str(error) for error in found[:MAX_TOLD]]
        if len(found) > MAX_TOLD:
            lines.append(f"and {len(found) - MAX_TOLD:,} more problems")
        super().__init__(None, "\n".join(lines))
        self.path = found[0].path
        self.found = tuple(found)


T = TypeVar("T")


def check_each(things: Iterable[T], check: Callable[[T], None]) -> None:
    """Check all of ``things``, also behind one that is wrong.

    Raises:
        DefinitionError: what is wrong, all in one.
    """
    found: list[DefinitionError] = []
    for thing in things:
        try:
            check(thing)
        except DefinitionError as error:
            found += error.found if isinstance(error, SeveralProblemsError) else [error]
    raise_found(found)


def raise_found(found: Sequence[DefinitionError]) -> None:
    """Raise the problems that were found: one as it is, several as one; none is fine."""
    if found:
        raise found[0] if len(found) == 1 else SeveralProblemsError(found)


class TransitionError(ConductoError):
    """An event that cannot happen in this state.

    Attributes:
        path: The node.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def no_node(pipeline_id: str, path: str) -> NotFoundError:
    """Return the error of a path that is not in the tree."""
    return NotFoundError(
        f"{path}: no such node in {pipeline_id}; 'conducto show {pipeline_id}' lists them", path
    )


def no_image(pipeline_id: str, image: str, known: Iterable[str]) -> NotFoundError:
    """Return the error of an image's name that the pipeline does not have."""
    names = ", ".join(sorted(known)) or "none"
    return NotFoundError(f"{pipeline_id}: no image {image!r}; there are: {names}")
