"""What an export tells of a pipeline, and how much of it there may be."""

from collections.abc import Mapping
from dataclasses import dataclass

from conducto_core.model.requests import NodeView, PipelineSummary

#: Most nodes that are shown.
MAX_NODES = 2_000
#: Most failed and most running Execs among them.
MAX_FAILED, MAX_RUNNING = 1_000, 100
#: Most failed Execs whose output is shown, and lines of each.
MAX_OUTPUTS, OUTPUT_LINES = 50, 40
#: Most other Execs of which the end of the output is shown, its lines, and bytes that are read.
MAX_ENDS, END_LINES, END_BYTES = 40, 5, 2_000


@dataclass(frozen=True, slots=True)
class Report:
    """A pipeline as it stood.

    Attributes:
        nodes: Those that are shown, the root first, in the order in which they stand in their
            groups; an Exec that failed or runs may come without the groups that it is in.
        failed: What failed by itself, Execs and groups that timed out, in the order of definition,
            those that were killed last.
        ends: ``{path: the end of what its newest attempt printed}``, of Execs that did not fail.
        made: When it was looked at, in seconds since the epoch.
        version: Of who answers.
        whole: The nodes are all there are.
    """

    summary: PipelineSummary
    nodes: tuple[NodeView, ...]
    failed: tuple[NodeView, ...]
    ends: Mapping[str, str]
    made: float
    version: str
    whole: bool
