"""The target of this process, on which the services of `conducto.api` work."""

from __future__ import annotations

import contextvars
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

#: Target and profile of the launch whose pipeline this thread or task defines.
_LAUNCH: contextvars.ContextVar[Optional[Tuple[str, Optional[str]]]] = contextvars.ContextVar(
    "conducto_launch", default=None
)
_OPTIONS = {
    "--local": "local",
    "--cloud": "cloud",
    "--conducto.local": "local",
    "--conducto.cloud": "cloud",
}


class Launching:
    """A context in which a pipeline is defined that is launched on a target.

    Args:
        target: ``local`` or ``cloud``; None for a tree that is printed, which is of this machine.
        profile: The profile; None is the one in use.
    """

    def __init__(self, target: Optional[str], profile: Optional[str] = None) -> None:
        self._launch = ("cloud" if target == "cloud" else "local", profile)

    def __enter__(self) -> None:
        self._token = _LAUNCH.set(self._launch)

    def __exit__(self, *_: object) -> None:
        _LAUNCH.reset(self._token)


def is_launching() -> bool:
    """Return whether this thread or task defines a pipeline."""
    return _LAUNCH.get() is not None


def of_launch() -> Optional[str]:
    """Return the target of the launch that this process is for; None if it launches nothing.

    Before ``co.main`` has read the command line, its first ``--local`` or ``--cloud`` decides.
    """
    launch = _LAUNCH.get()
    if launch is not None:
        return launch[0]
    options = [_OPTIONS[word] for word in sys.argv[1:] if word in _OPTIONS]
    return options[0] if options else None


def profile_of_launch() -> Optional[str]:
    """Return the profile that a launch was given; None is the one in use."""
    launch = _LAUNCH.get()
    return None if launch is None else launch[1]


def of_process() -> str:
    """Return the target of this process: of its launch, else of its profile, else this machine."""
    found = of_launch()
    if found is None and not in_node():
        from conducto.api.config import Config, current_profile  # noqa: PLC0415 - reads files

        found = Config.get_profile_config(current_profile()).get("general", "target", fallback=None)
    return "cloud" if found == "cloud" else "local"


def in_node() -> bool:
    """Return whether this process is a command of a pipeline."""
    return bool(os.environ.get("__RUN_BY_WORKER__") or os.environ.get("CONDUCTO_EXECUTION_ENV"))
