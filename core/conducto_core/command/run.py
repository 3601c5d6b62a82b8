"""The output of one command: extracted, masked, collected and judged. No I/O, threads or clock.

The agent and the worker both run commands with `CommandRun`; their parts are the container, the
clock and the storage (`Output`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from conducto_core.annotations.stream import with_annotations
from conducto_core.command.masking import Mask
from conducto_core.command.output import PrintedTreeError, TreeExtractor
from conducto_core.command.server import Part, Stream
from conducto_core.coverage.files import with_coverage
from conducto_core.diagnosis.rules.first_error import ErrorFinder
from conducto_core.results.model import OutputStream, OutputSummary
from conducto_core.results.outputs import CollectedOutputs, LiveOutputs, collect
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import AttemptEnd, cause_of_exit
from conducto_core.services.rules import OutputLines
from conducto_core.test_results.junit import with_tests

T = TypeVar("T")


class Output(Protocol):
    """The streams of one attempt."""

    @property
    def failure(self) -> str | None:
        """Why output was lost, for users; None if it is complete."""

    def write(self, stream: Literal[Stream, OutputStream], data: bytes) -> None:
        """Append masked output to a stream."""


@dataclass(frozen=True, slots=True)
class CommandEnd(Generic[T]):
    """The end of a command.

    Attributes:
        cause: None is success.
        facts: What its attempt's record gets.
        tree: The tree that a Lazy's command printed.
    """

    cause: Cause | None
    facts: AttemptEnd
    tree: T | None = None


class CommandRun:
    """The output of one command. Nothing reaches ``output`` unmasked.

    The order of calls: `part` and `service` any number of times; `collect` at most once, which may
    take long; `close`, after which nothing is written; `end`, which may take long for a Lazy.

    Args:
        prints_tree: It is a Lazy's command.
        changed: Called with the summary of points and artifacts when a name or an artifact is new.
    """

    def __init__(
        self,
        output: Output,
        mask: Mask,
        *,
        prints_tree: bool = False,
        changed: Callable[[OutputSummary], None] = lambda _summary: None,
    ) -> None:
        self._output = output
        self._mask = mask
        self._changed = changed
        self._tree = TreeExtractor() if prints_tree else None
        self._maskers = {"stdout": mask.stream(), "stderr": mask.stream()}
        self._live = LiveOutputs(mask)
        self._services = OutputLines(mask)
        self._collected = CollectedOutputs()
        self._errors = ErrorFinder()
        self._bytes = 0
        self._closed = False

    def part(self, part: Part, data: bytes) -> None:
        """Add output, or a frame of the running command."""
        if part == "frame":
            self._frame(data)
            return
        if self._tree is not None and part == "stdout":
            data = self._tree.feed(data)
        self._write(part, self._maskers[part].feed(data))

    def service(self, name: str, data: bytes) -> None:
        """Add output of a service beside the command."""
        self._add("services", self._services.feed(name, data))

    def collect(self, files: Mapping[str, bytes]) -> None:
        """Read the result, metrics, artifacts and tests that the command left."""
        if files:
            self._collected = _collect_outputs(files, self._mask)

    def close(self) -> None:
        """Write held-back output and the collected outputs; later calls have no effect."""
        if self._closed:
            return
        self._closed = True
        self._add("services", self._services.finish())
        if self._tree is not None:
            self._write("stdout", self._maskers["stdout"].feed(self._tree.finish()))
        self._write("stdout", self._maskers["stdout"].finish())
        self._write("stderr", self._maskers["stderr"].finish())
        self._write("stderr", self._collected.warning_text)
        for stream, data in self._collected.streams.items():
            self._add(stream, data)

    def end(
        self,
        cause: Cause | None,
        facts: AttemptEnd,
        read_tree: Callable[[dict[str, Any]], T] | None = None,
    ) -> CommandEnd[T]:
        """Return the end of the command.

        Args:
            cause: Why it was stopped or lost; None: its exit code decides.
            facts: Those that the output does not show.
            read_tree: Reads the tree of a Lazy that ended well; raises `PrintedTreeError`. None:
                the command was stopped.
        """
        cause = cause or cause_of_exit(facts.exit_code)
        message, outputs, tree = facts.message, self._collected.summary, None
        failure = self._output.failure
        if failure is not None:
            outputs = None
            message = message or failure
        if failure is not None and cause is None:
            # The output of a Lazy or a test is its result.
            cause = Cause.WORKER_LOST
            message = f"the command ended with exit code 0, but {failure}"
        if self._tree is not None and read_tree is not None and cause is None:
            try:
                tree = read_tree(self._tree.tree())
            except PrintedTreeError as error:
                cause, message = Cause.LAZY, str(error)
        facts = facts._replace(
            message=None if message is None else self._mask.text(message),
            output_bytes=self._bytes,
            outputs=outputs,
            first_error=None if cause is None else self._errors.result(),
        )
        return CommandEnd(cause, facts, tree)

    def _frame(self, data: bytes) -> None:
        before = self._live.summary
        line = self._live.add(data)
        if line is not None:
            self._add(*line)
        if self._live.summary is not before:
            self._changed(self._live.summary)

    def _write(self, stream: Stream, data: bytes) -> None:
        self._add(stream, data)
        self._errors.feed(stream, data)
        if self._output.failure is None:
            self._bytes += len(data)

    def _add(self, stream: Literal[Stream, OutputStream], data: bytes) -> None:
        if data:
            self._output.write(stream, data)


def _collect_outputs(files: Mapping[str, bytes], mask: Mask) -> CollectedOutputs:
    """Return the outputs of a command, as they are kept: masked and within the limits."""
    outputs = with_tests(collect(files, mask), files, mask)
    return with_annotations(with_coverage(outputs, files, mask), files, mask)
