"""Programs: the scripts and functions that pipelines are launched from, and their parameters.

Values of parameters are the words that they are on a command line.
"""

from enum import StrEnum
from typing import Literal

from conducto_core.model.base import Record
from conducto_core.model.program_calls import ProgramCall
from conducto_core.model.requests import PipelineSummary


class ProgramView(Record):
    """The program of a pipeline, for a form that launches it again.

    Attributes:
        call: The call that made the tree; None if it was not recorded.
        problem: Reason why the program cannot be started from here; the same tree can be launched.
        script_changed: The script has another content than at the launch.
        command_line: The command line that launched the pipeline, for a terminal.
    """

    pipeline: PipelineSummary
    call: ProgramCall | None = None
    problem: str | None = None
    script_changed: bool = False
    command_line: str | None = None


class LaunchAgain(Record):
    """A request to launch the tree of a pipeline again.

    Attributes:
        run: Run it at once.
        title: Title instead of the pipeline's.
    """

    run: bool = True
    title: str | None = None


class StartProgram(Record):
    """A request to start the program of a pipeline.

    Attributes:
        arguments: ``{parameter: value}``; the others get their defaults.
        rest: Values for ``*args``; None: those of the pipeline.
        action: ``launch`` the tree, or return the ``plan`` for it and launch nothing.
        run: Run the pipeline at once.
        title: Title instead of the script's own.
    """

    arguments: dict[str, str] = {}
    rest: tuple[str, ...] | None = None
    action: Literal["launch", "plan"] = "launch"
    run: bool = True
    title: str | None = None


class ProgramStartParams(Record):
    """The id of a start of a program."""

    start: str


class StartState(StrEnum):
    """The states of a start; in ``invalid`` ones, no process was started."""

    INVALID = "invalid"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ProgramPlan(Record):
    """The size of a tree, and its cost in the cloud.

    Attributes:
        commands: Number of Execs.
        dollars: Cost of a run in the cloud; None if the cloud cannot run it, or on this machine.
        known: Commands whose duration is that of earlier runs.
        note: The reason why there is no cost.
    """

    commands: int
    dollars: float | None = None
    known: int = 0
    note: str | None = None


class ProgramStart(Record):
    """A process of a program.

    Attributes:
        problems: ``{parameter: reason}`` of values that were rejected.
        message: Reason of a failure that is about no parameter.
        output: The end of the output so far, stdout and stderr in one.
        pipeline: Id of the launched pipeline.
    """

    id: str
    state: StartState
    problems: dict[str, str] = {}
    message: str | None = None
    output: str = ""
    exit_code: int | None = None
    started: float = 0.0
    ended: float | None = None
    pipeline: str | None = None
    plan: ProgramPlan | None = None
