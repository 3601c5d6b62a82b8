"""The operations that read output streams."""

from conducto_core.api.operation import Bytes, LinkClass, read
from conducto_core.logs.model import MergedPage, MergedPageParams
from conducto_core.run.model import params as p
from conducto_core.run.model.requests import LogChunk
from conducto_core.run.model.responses import LogLines, LogMatches, LogOutline

LOG = read(
    "read_log",
    "/pipelines/{id}/log",
    p.LogParams,
    LogChunk,
    "Return a part of an output stream.",
    link_class=LinkClass.READ,
)
LOG_LINES = read(
    "read_log_lines",
    "/pipelines/{id}/log/lines",
    p.LogLinesParams,
    LogLines,
    "Return some lines of an output stream.",
    link_class=LinkClass.READ,
)
LOG_SEARCH = read(
    "search_log",
    "/pipelines/{id}/log/search",
    p.LogSearchParams,
    LogMatches,
    "Search an output stream for lines with a text or pattern.",
    link_class=LinkClass.READ,
)
LOG_OUTLINE = read(
    "outline_log",
    "/pipelines/{id}/log/outline",
    p.LogOutlineParams,
    LogOutline,
    "Return the times of the lines of a part of an output stream, and the groups they form.",
    link_class=LinkClass.READ,
)
LOG_FILE = read(
    "download_log",
    "/pipelines/{id}/log/file",
    p.LogFileParams,
    Bytes,
    "Download an output stream.",
    link_class=LinkClass.READ,
)
MERGED = read(
    "read_output",
    "/pipelines/{id}/output",
    MergedPageParams,
    MergedPage,
    "Return the output of all commands below a node by time, in pages, with a filter.",
    link_class=LinkClass.READ,
)
