"""The platforms from which pipelines can be launched."""

from __future__ import annotations

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
