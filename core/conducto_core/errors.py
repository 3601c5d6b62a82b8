"""Errors that a definition or an action can cause.

`conducto.errors` has the errors in a definition.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from conducto.errors import ConductoError, DefinitionError, SeveralProblemsError, raise_found
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


class PlanFullError(RefusedError):
    """The plan has no room for a launch now; it may have some later."""


def invalid(path: str | None, message: str) -> DefinitionError:
    """Return the error for an invalid node; None: for the tree as a whole."""
    return DefinitionError(message if path is None else f"{shortened(path)}: {message}", path=path)


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


class TransitionError(ConductoError):
    """An event that cannot happen in this state."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def no_node(pipeline_id: str, path: str) -> NotFoundError:
    return NotFoundError(
        f"{path}: no such node in {pipeline_id}; 'conducto show {pipeline_id}' lists them", path
    )


def no_image(pipeline_id: str, image: str, known: Iterable[str]) -> NotFoundError:
    names = ", ".join(sorted(known)) or "none"
    return NotFoundError(f"{pipeline_id}: no image {image!r}; there are: {names}")
