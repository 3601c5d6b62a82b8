"""Where a pipeline can be launched: the system, and whether this is a command of a pipeline."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


def refusal() -> Optional[str]:
    """Return why this system cannot launch pipelines, or None if it can."""
    if sys.platform != "win32":
        return None
    return (
        "Windows is not supported; use WSL (Windows Subsystem for Linux): run 'wsl --install', "
        "then install Python and conducto there"
    )


def is_inside_node() -> bool:
    """Return whether this process is a command of a pipeline."""
    if os.environ.get("__RUN_BY_WORKER__"):
        return True
    where = os.environ.get("CONDUCTO_EXECUTION_ENV", "")
    return where.startswith(("worker", "manager"))
