"""Launches of a pipeline's program with other arguments."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from conducto.errors import ClientError, InvalidArgumentError
from conducto.inspection.codecs import CodecError, word_of
from conducto.wire.printable import printable_lines
from conducto_client.client import Client
from conducto_core.programs.model import ProgramStart, StartProgram, StartState

T = TypeVar("T")

_POLL = 0.2
#: Lines of a script's output in an error.
_SHOWN = 20


class ProgramCaller(Protocol):
    """Executes one operation of a client."""

    def __call__(self, operation: Callable[[Client], T], /) -> T:
        """Return the result of the operation."""


def words_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return arguments as the words of a command line.

    Raises:
        InvalidArgumentError: a value has no text.
    """
    words = {}
    for name, value in arguments.items():
        try:
            words[name] = word_of(value)
        except CodecError as error:
            raise InvalidArgumentError(f"{name}: {error}") from None
    return words


def wait_for_launch(call: ProgramCaller, pipeline_id: str, request: StartProgram) -> ProgramStart:
    """Start the program of a pipeline; return the start when it has ended. Ctrl-C stops it."""
    start = call(lambda client: client.start_program(pipeline_id, request))
    number = start.id
    try:
        while start.state is StartState.RUNNING:
            time.sleep(_POLL)
            start = call(lambda client: client.program_start(number))
    except KeyboardInterrupt:
        call(lambda client: client.cancel_program_start(number))
        raise
    return start


def launched_by(start: ProgramStart) -> str:
    """Return the id of the pipeline that a start launched.

    Raises:
        InvalidArgumentError: arguments were rejected.
        ClientError: the script launched no pipeline.
    """
    if start.pipeline is not None:
        return start.pipeline
    if start.problems:
        raise InvalidArgumentError("; ".join(f"{n}: {why}" for n, why in start.problems.items()))
    output = printable_lines(start.output.rstrip()).splitlines()[-_SHOWN:]
    raise ClientError("\n".join([start.message or "the script launched no pipeline", *output]))
