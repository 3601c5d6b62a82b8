"""What an attempt prints, on its way into the log."""

from conducto_local.logs import LogWriter
from conducto_local.ports import Stream
from conducto_worker.masking import Mask
from conducto_worker.printed_tree import TreeCutter


class AttemptOutput:
    """Takes both streams of an attempt: cuts a Lazy's tree out of stdout, then hides secrets.

    Args:
        writer: Keeps the rest.
        cutter: For a Lazy; it sees stdout as it was printed.
        mask: What to hide.
    """

    def __init__(self, writer: LogWriter, cutter: TreeCutter | None, mask: Mask) -> None:
        self._writer = writer
        self._cutter = cutter
        self._maskers = {"stdout": mask.stream(), "stderr": mask.stream()}

    def write(self, stream: Stream, data: bytes) -> None:
        """Take in what came."""
        seen = data
        if self._cutter is not None and stream == "stdout":
            seen = self._cutter.feed(data)
        self._keep(stream, self._maskers[stream].feed(seen))

    def finish(self) -> None:
        """Keep what was held back; nothing comes any more."""
        if self._cutter is not None:
            self._keep("stdout", self._maskers["stdout"].feed(self._cutter.finish()))
        self._keep("stdout", self._maskers["stdout"].finish())
        self._keep("stderr", self._maskers["stderr"].finish())

    def _keep(self, stream: Stream, data: bytes) -> None:
        if data:
            self._writer.write(stream, data)
