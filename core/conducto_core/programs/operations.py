"""The operations on the programs that launch pipelines."""

from conducto_core.api.operation import LinkClass, Permission, act, read, send
from conducto_core.programs.history import (
    ComparisonParams,
    HistoryOfNode,
    MemoryHistory,
    NodeHistory,
    NodeHistoryParams,
    NodeRunsParams,
    PipelineComparison,
    Why,
    WhyParams,
)
from conducto_core.programs.model import ProgramStart, ProgramStartParams, ProgramView, StartProgram
from conducto_core.run.model import params as p

PROGRAM = read(
    "get_program",
    "/pipelines/{id}/program",
    p.PipelineParams,
    ProgramView,
    "Return the program of a pipeline: its script, and its function with parameters and arguments.",
    link_class=LinkClass.READ,
)
START_PROGRAM = send(
    "start_program",
    "POST /pipelines/{id}/program",
    p.PipelineParams,
    StartProgram,
    ProgramStart,
    Permission.LAUNCH,
    "Start the program of a pipeline with other arguments, if the server is on its machine.",
    link_class=LinkClass.AUTHOR,
)
PROGRAM_START = read(
    "get_program_start",
    "/program-starts/{start}",
    ProgramStartParams,
    ProgramStart,
    "Return the state and the output of a program that was started.",
    link_class=LinkClass.READ,
)
CANCEL_PROGRAM_START = act(
    "cancel_program_start",
    "DELETE /program-starts/{start}",
    ProgramStartParams,
    ProgramStart,
    Permission.LAUNCH,
    "Stop a program that was started and has not launched its pipeline yet.",
    link_class=LinkClass.AUTHOR,
)
COMPARE_PIPELINES = read(
    "compare_pipelines",
    "/pipelines/{id}/comparison",
    ComparisonParams,
    PipelineComparison,
    "Return the differences of a pipeline from another one.",
    link_class=LinkClass.READ,
)
GET_WHY = read(
    "get_why",
    "/pipelines/{id}/why",
    WhyParams,
    Why,
    "Return why a node ran: the inputs that differ from those of an earlier attempt.",
    link_class=LinkClass.READ,
)
NODE_HISTORY = read(
    "node_history",
    "/node-history",
    NodeHistoryParams,
    NodeHistory,
    "Return the flaky and the slowest nodes of a program, and advice about sizes.",
    link_class=LinkClass.READ,
)
MEMORY_HISTORY = read(
    "memory_history",
    "/memory-history",
    p.ProgramParams,
    MemoryHistory,
    "Return the memory that commands of a program used, by which mem='auto' is decided.",
    link_class=LinkClass.READ,
)
NODE_RUNS = read(
    "list_node_runs",
    "/pipelines/{id}/node-runs",
    NodeRunsParams,
    HistoryOfNode,
    "Return how a node behaved in the newest pipelines of a program.",
    link_class=LinkClass.READ,
)
