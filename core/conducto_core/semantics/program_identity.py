"""The identity of a program: decides which pipelines belong together.

An automatic title has the arguments of the call, and a user may give any title. So a program is
its script and function where both are recorded, and its title and script otherwise. The web app
has the same rule (``programKey``).
"""

from typing import NamedTuple, Protocol

from conducto_core.model.params import ProgramParams
from conducto_core.model.records import PipelineRecord


class ProgramKey(NamedTuple):
    """Identifies a program.

    Attributes:
        title: Title of its pipelines; None if script and function identify it.
        program: Host path of its script, if known.
        function: Its function; None if the title identifies it.
    """

    title: str | None
    program: str | None
    function: str | None


class HasProgram(Protocol):
    """A record of a pipeline with the fields that identify its program."""

    @property
    def title(self) -> str:
        """Return the title of the pipeline."""

    @property
    def program(self) -> str | None:
        """Return the host path of its script, if known."""

    @property
    def function(self) -> str | None:
        """Return the function that made its tree, if known."""


def program_key(record: HasProgram) -> ProgramKey:
    """Return the program of a pipeline."""
    if record.program is None or record.function is None:
        return ProgramKey(record.title, record.program, None)
    return ProgramKey(None, record.program, record.function)


def is_of_program(record: PipelineRecord, params: ProgramParams) -> bool:
    """Return whether a pipeline is of the requested program."""
    if params.function is not None:
        return program_key(record) == (None, params.program, params.function)
    return record.title == params.title and params.program in (None, record.program)
