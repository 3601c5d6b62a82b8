"""Errors that a definition or an action can cause.

ConductoError
├── DefinitionError      the tree is invalid; nothing has run
│   └── SeveralProblemsError     ... in several places
└── TransitionError      a bug in Conducto: the event cannot happen in this state
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from conducto.wire.limits import shortened


class _TellingError(Exception):
    """An error whose message is for clients.

    Attributes:
        path: The node that it concerns, if any; the message starts with it.
    """

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class NotFoundError(_TellingError):
    """The pipeline, node, attempt, image or data does not exist."""


class RefusedError(_TellingError):
    """The request is not possible now; the message has the reason and a remedy."""


#: Maximum number of problems of one tree in a message.
MAX_TOLD = 20


class ConductoError(Exception):
    """The base class of the errors of this package."""


class DefinitionError(ConductoError):
    """The tree is invalid.

    Attributes:
        path: The invalid node; None for the tree as a whole.
    """

    def __init__(self, path: str | None, message: str) -> None:
        super().__init__(f"{shortened(path)}: {message}" if path is not None else message)
        self.path = path


class SeveralProblemsError(DefinitionError):
    """The tree is invalid in several places; the message has a line for each."""

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
    """Check all of ``things``, and raise all problems together.

    Raises:
        DefinitionError: the problems found.
    """
    found: list[DefinitionError] = []
    for thing in things:
        try:
            check(thing)
        except DefinitionError as error:
            found += error.found if isinstance(error, SeveralProblemsError) else [error]
    raise_found(found)


def raise_found(found: Sequence[DefinitionError]) -> None:
    """Raise the problems found: a single one as it is, several as one error."""
    if found:
        raise found[0] if len(found) == 1 else SeveralProblemsError(found)


class TransitionError(ConductoError):
    """An event that cannot happen in this state."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def no_node(pipeline_id: str, path: str) -> NotFoundError:
    """Return the error for a path that is not in the tree."""
    return NotFoundError(
        f"{path}: no such node in {pipeline_id}; 'conducto show {pipeline_id}' lists them", path
    )


def no_image(pipeline_id: str, image: str, known: Iterable[str]) -> NotFoundError:
    """Return the error for an image name that the pipeline does not have."""
    names = ", ".join(sorted(known)) or "none"
    return NotFoundError(f"{pipeline_id}: no image {image!r}; there are: {names}")
