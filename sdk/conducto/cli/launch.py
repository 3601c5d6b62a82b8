"""Where a definition becomes a pipeline: called by ``--local`` and ``--cloud``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from conducto import platforms

if TYPE_CHECKING:
    from conducto.tree.launch_options import LaunchOptions
    from conducto.tree.node import Node

_USAGE = 2
_HOST_PYTHON = (3, 11)


def launch_local(root: Node, options: LaunchOptions) -> int:
    """Hand a tree to this machine's agent; stay until it settles if it is to run.

    Returns:
        The exit code: 0 done (or launched), 1 error or killed, 2 a wrong definition, 3 no
        engine, 130 left with Ctrl-C.
    """
    if not _is_host():
        return _USAGE
    from conducto.cli.host.local_launch import launch  # noqa: PLC0415 - needs Python 3.11

    return launch(root, options)


def launch_cloud(root: Node, options: LaunchOptions) -> int:
    """Hand a tree to the cloud installation; stay until it settles if it is to run.

    Returns:
        The exit code, as of `launch_local`.
    """
    if not _is_host():
        return _USAGE
    from conducto.cli.host.cloud_launch import launch  # noqa: PLC0415 - needs Python 3.11

    return launch(root, options)


def plan(root: Node) -> int:
    """Print what a launch in the cloud would take and cost; return 0, or 2 as `launch_local`."""
    if not _is_host():
        return _USAGE
    from conducto.cli.host.plan import print_plan  # noqa: PLC0415 - needs Python 3.11

    return print_plan(root, program=sys.argv[0] if sys.argv else None)


def _is_host() -> bool:
    """Return whether this system and Python can launch; say so where they cannot."""
    refused = platforms.refusal()
    if refused is not None:
        print(f"conducto: {refused}", file=sys.stderr)
        return False
    if sys.version_info >= _HOST_PYTHON:
        return True
    print(
        "conducto: launching needs Python 3.11 or newer on this machine; "
        "an older one can only print the tree and run inside containers",
        file=sys.stderr,
    )
    return False
