"""Errors the author of a pipeline can catch.

ConductoError
├── TreeError              a node cannot go where it was put
├── DuplicateImageError    two images of one tree share a name
├── ImageChoiceError       image and image_name were both given (an AssertionError, too)
├── NodeMethodError        a method of the command line did not return the node it promised
├── UsageError             the command line is wrong
└── DefinitionError        a value is wrong; nothing has run (a ValueError, too)
    ├── DefinitionTypeError    ... because of its type (a TypeError, too)
    ├── UnknownImageError      no image has that name (a KeyError, too)
    ├── InvalidCloudParams     the cloud cannot run it
    └── SeveralProblemsError   several values are wrong

Errors in the arguments of a constructor are the built-in `TypeError` and `ValueError`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence


class ConductoError(Exception):
    """What Conducto itself raises about a pipeline."""


class TreeError(ConductoError):
    """A node cannot be attached there, or a ``with`` block was left out of order."""


class DuplicateImageError(ConductoError):
    """Two different images of one tree have the same name."""


class ImageChoiceError(ConductoError, AssertionError):
    """Both ``image`` and ``image_name`` were given."""


class NodeMethodError(ConductoError):
    """A function did not return the kind of node its annotation promises."""


class UsageError(ConductoError):
    """The arguments on the command line do not fit."""


class DefinitionError(ConductoError, ValueError):
    """A value of a node is wrong.

    Attributes:
        path: Path of the node.
        file: File that made the node, or None where it is not known.
        line: Line of it, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "/",
        file: Optional[str] = None,
        line: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        self.file = file
        self.line = line

    def __str__(self) -> str:
        return str(self.args[0])


#: Problems of one tree that a message tells.
MAX_TOLD = 20


class SeveralProblemsError(DefinitionError):
    """Several values of a tree are wrong; the message has a line for each.

    Attributes:
        found: All of them, a `DefinitionError` each.
    """

    def __init__(self, found: Sequence[DefinitionError]) -> None:
        lines = [str(error) for error in found[:MAX_TOLD]]
        if len(found) > MAX_TOLD:
            lines.append(f"and {len(found) - MAX_TOLD:,} more problems")
        first = found[0]
        super().__init__("\n".join(lines), path=first.path, file=first.file, line=first.line)
        self.found = tuple(found)


class DefinitionTypeError(DefinitionError, TypeError):
    """A value of a node has the wrong type."""


class UnknownImageError(DefinitionError, KeyError):
    """A node names an image that the tree does not have."""


class InvalidCloudParams(DefinitionError):  # noqa: N818 (the name is the original's)
    """A node asks for what the cloud cannot give."""
