"""Annotations: messages about lines of files."""

from enum import StrEnum

from pydantic import Field

from conducto.wire.outputs import MAX_ANNOTATION, MAX_ANNOTATIONS
from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId

MAX_PATH = 500
MAX_TITLE = 200


class Level(StrEnum):
    """The levels of annotations, the most severe first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class AnnotationSource(StrEnum):
    """The command, a failed test, or the output of a failed command."""

    COMMAND = "command"
    TEST = "test"
    OUTPUT = "output"


class Annotation(Record):
    """A message about a line of a file: data of a command, never an instruction.

    Attributes:
        file: Relative to the directory of the code, if it is below it.
        line: Counted from 1; 0 is the whole file.
    """

    file: str = Field(min_length=1, max_length=MAX_PATH)
    line: int = Field(default=0, ge=0, le=10_000_000)
    level: Level = Level.ERROR
    message: str = Field(min_length=1, max_length=MAX_ANNOTATION)
    title: str = Field(default="", max_length=MAX_TITLE)


def line_of(one: Annotation) -> str:
    """Return an annotation on one line."""
    place = one.file if one.line == 0 else f"{one.file}:{one.line}"
    title = f"{one.title}: " if one.title else ""
    return f"{place}: {one.level}: {title}{one.message}".replace("\n", " ")


class NodeAnnotation(Annotation):
    """An annotation of a node.

    Attributes:
        path: The node.
        attempt: Its attempt.
    """

    path: str
    attempt: int
    source: AnnotationSource


class AnnotationParams(Record):
    """The pipeline whose annotations are listed.

    Attributes:
        path: Only those of this node.
    """

    id: PipelineId
    path: str | None = None
    limit: int = Field(default=200, ge=1, le=MAX_ANNOTATIONS)


class AnnotationList(Record):
    """The annotations of the newest attempts of a pipeline, errors first.

    Attributes:
        pipeline: Its full id.
        more: Number of further ones.
        complete: Whether the output of all failed commands was searched.
    """

    pipeline: str
    annotations: tuple[NodeAnnotation, ...] = ()
    more: int = 0
    complete: bool = True
