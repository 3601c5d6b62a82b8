"""The files in which a command leaves its result, metrics and artifacts, and their limits."""

from __future__ import annotations

#: Environment variable with the directory of these files.
RUN_DIRECTORY = "CONDUCTO_RUN_DIR"
#: Variable with the pipe that passes frames on while the command runs; not set if there is none.
LIVE = "CONDUCTO_LIVE"
RESULT, METRICS, ARTIFACTS, INPUTS = "result", "metrics", "artifacts", "inputs"
ANNOTATIONS = "annotations"

#: Maximum bytes of a result, as JSON.
MAX_RESULT = 1 << 20
#: Maximum number of metrics of an attempt, and of points that are kept of each.
MAX_METRIC_NAMES = 100
MAX_POINTS = 10_000
#: Maximum number of annotations of an attempt, and of characters of the message of one.
MAX_ANNOTATIONS = 1_000
MAX_ANNOTATION = 4_000
LEVELS = ("error", "warning", "notice")
METRIC_NAMES = "letters, digits and _ - . / ( ) % @ = : and spaces, at most 100 characters"

#: A frame: its start, the name of a file and a line of it. A pipe never mixes such short writes.
FRAME_START = b"\x1econducto:"
MAX_FRAME = 4096

_SIGNS = "_-./()%@=: "
_LONGEST_NAME = 100


def too_large(size: int) -> str:
    """Return the warning about a result of ``size`` bytes."""
    return (
        f"the result was not kept: it has {size:,} bytes, the maximum is {MAX_RESULT:,}; write a "
        "large value to a file in the pipeline's data and return the file's name"
    )


def is_left_out(count: int) -> bool:
    """Return whether a point is left out, which happens ever more often after `MAX_POINTS`."""
    stride = 1
    while count >= MAX_POINTS * stride:
        stride *= 2
    return count % stride != 0


def frame(name: str, line: str) -> bytes:
    """Return the frame with a line of a file, which ends with a newline."""
    return FRAME_START + f"{name} {line}".encode()


def is_metric_name(name: object) -> bool:
    """Return whether ``name`` can be the name of a metric."""
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME or name != name.strip():
        return False
    return (name[0].isalnum() or name[0] == "_") and all(c.isalnum() or c in _SIGNS for c in name)
