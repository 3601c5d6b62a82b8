"""Errors the author of a pipeline can catch.

ConductoError
├── TreeError              a node cannot be attached there
├── DuplicateImageError    two images of one tree share a name
├── ImageChoiceError       image and image_name were both given (an AssertionError, too)
├── NodeMethodError        a method of the command line did not return the annotated node
├── UsageError             the command line is invalid
├── HostRequiredError      it works on a user's machine only, not inside an image
├── ClientError            an operation on a launched pipeline failed
│   ├── ApiError               the server rejected the request
│   ├── AgentUnreachableError  no server responded
│   ├── InvalidArgumentError   an argument is invalid (a ValueError, too)
│   ├── PipelineNotFoundError  there is no such pipeline (a LookupError, too)
│   ├── NodeNotFoundError      the pipeline has no such node (a KeyError, too)
│   ├── WaitTimeoutError       the pipeline did not settle in time (a TimeoutError, too)
│   └── PipelineFailed         the pipeline settled in another state than done
└── DefinitionError        a value is invalid; nothing has run (a ValueError, too)
    ├── DefinitionTypeError    ... because of its type (a TypeError, too)
    ├── UnknownImageError      no image has that name (a KeyError, too)
    ├── InvalidCloudParams     the cloud cannot run it
    └── SeveralProblemsError   several values are invalid

Errors in the arguments of a constructor are the built-in `TypeError` and `ValueError`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence


class ConductoError(Exception):
    """The base class of Conducto's errors about a pipeline."""


class TreeError(ConductoError):
    """A node cannot be attached there, or a ``with`` block was closed out of order."""


class DuplicateImageError(ConductoError):
    """Two different images of one tree have the same name."""


class ImageChoiceError(ConductoError, AssertionError):
    """Both ``image`` and ``image_name`` were given."""


class NodeMethodError(ConductoError):
    """A function did not return the kind of node in its annotation."""


class UsageError(ConductoError):
    """The arguments on the command line are invalid; the message has the reason and a remedy.

    Attributes:
        word: The argument without a name that is wrong, if it is that.
    """

    def __init__(self, message: str, word: Optional[str] = None) -> None:
        super().__init__(message)
        self.word = word


class HostRequiredError(ConductoError):
    """An operation needs the packages of a user's machine, which are absent in images."""


class ClientError(ConductoError):
    """The base class of errors of operations on launched pipelines."""


class ApiError(ClientError):
    """The server rejected the request, or failed.

    Attributes:
        status: The HTTP status, e.g. 404.
    """

    status: int


class AgentUnreachableError(ClientError):
    """No server responded at the address; the message has the address and a remedy."""


class InvalidArgumentError(ClientError, ValueError):
    """An argument of an operation on a pipeline is invalid."""


class PipelineNotFoundError(ClientError, LookupError):
    """There is no such pipeline."""


class NodeNotFoundError(ClientError, KeyError):
    """The pipeline has no node with that path."""

    def __str__(self) -> str:
        return str(self.args[0])


class WaitTimeoutError(ClientError, TimeoutError):
    """The pipeline did not settle within the given time; it continues."""


class PipelineFailed(ClientError):  # noqa: N818 (as Metaflow and Prefect name theirs)
    """A pipeline settled in another state than ``done``; the message is its failure report.

    Attributes:
        pipeline_id: Its id.
        state: Its state.
    """

    def __init__(self, report: str, pipeline_id: str = "", state: str = "error") -> None:
        super().__init__(report, pipeline_id, state)
        self.pipeline_id = pipeline_id
        self.state = state

    @property
    def report(self) -> str:
        """The failed nodes with their commands and last output, as a run prints them."""
        return str(self.args[0])

    def __str__(self) -> str:
        return self.report


class DefinitionError(ConductoError, ValueError):
    """A value of a node is invalid.

    Attributes:
        path: The node; None for the tree as a whole.
        file: File that created the node, or None if unknown.
        line: Line in that file, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Optional[str] = "/",
        file: Optional[str] = None,
        line: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        self.file = file
        self.line = line

    def __str__(self) -> str:
        return str(self.args[0])


#: Maximum number of problems of one tree in a message.
MAX_TOLD = 20


class SeveralProblemsError(DefinitionError):
    """Several values of a tree are invalid; the message has a line for each.

    Attributes:
        found: All of them, a `DefinitionError` each.
    """

    def __init__(self, found: Sequence[DefinitionError]) -> None:
        lines = [f"the tree has {len(found):,} problems:"]
        lines += [str(error) for error in found[:MAX_TOLD]]
        if len(found) > MAX_TOLD:
            lines.append(f"and {len(found) - MAX_TOLD:,} more problems")
        first = found[0]
        super().__init__("\n".join(lines), path=first.path, file=first.file, line=first.line)
        self.found = tuple(found)


def raise_found(found: Sequence[DefinitionError]) -> None:
    """Raise the problems found: a single one as it is, several as one error."""
    if found:
        raise found[0] if len(found) == 1 else SeveralProblemsError(found)


class DefinitionTypeError(DefinitionError, TypeError):
    """A value of a node has the wrong type."""


class UnknownImageError(DefinitionError, KeyError):
    """A node names an image that the tree does not have."""


class InvalidCloudParams(DefinitionError):  # noqa: N818 (the name is the original's)
    """A node needs a feature that the cloud does not have."""
