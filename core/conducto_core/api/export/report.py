"""The contents of an export, and their limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from conducto_core.model.requests import NodeView, PipelineSummary

#: Maximum number of nodes shown.
MAX_NODES = 2_000
#: Maximum numbers of failed and of running Execs among them.
MAX_FAILED, MAX_RUNNING = 1_000, 100
#: Maximum number of failed Execs with output, and lines of each.
MAX_OUTPUTS, OUTPUT_LINES = 50, 40
#: Maximum number of other Execs with the end of their output, its lines, and the bytes read.
MAX_ENDS, END_LINES, END_BYTES = 40, 5, 2_000


@dataclass(frozen=True, slots=True)
class Report:
    """A pipeline at one point in time.

    Attributes:
        nodes: The nodes shown, the root first, in definition order; an Exec that failed or runs may
            be there without its groups.
        failed: Nodes that failed by themselves, Execs and groups that timed out, in definition
            order, killed ones last.
        ends: ``{path: end of the newest attempt's output}``, of Execs that did not fail.
        made: Time of the report, in seconds since the epoch.
        version: Version of the server.
        whole: The nodes are all nodes of the tree.
    """

    summary: PipelineSummary
    nodes: tuple[NodeView, ...]
    failed: tuple[NodeView, ...]
    ends: Mapping[str, str]
    made: float
    version: str
    whole: bool
