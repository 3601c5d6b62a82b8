"""What `conducto._host` may call; nothing else of the host is known to the author API."""

# ruff: noqa: PLC0415
# Each entry loads only the packages that it needs.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase
    from conducto_cli import python_client as python_client
    from conducto_client.target import TargetName


def run(argv: Sequence[str]) -> int:
    from conducto_cli.main import main

    return main(argv)


def launch(root: NodeBase, options: LaunchOptions, target: str) -> int:
    """Launch a tree on ``target``; return the exit code."""
    if target == "cloud":
        from conducto_cli.launch import cloud

        return cloud.launch(root, options)
    if options.into is not None:
        from conducto_cli.launch import into

        return into.launch(root, options)
    from conducto_cli.launch import local

    return local.launch(root, options)


def begin_junit(file: str) -> None:
    """Write the JUnit report of a run that has not ended."""
    from conducto_cli.view import junit

    junit.begin_junit(file)


def test_seconds(target: TargetName, profile: str | None, program: str) -> dict[str, float]:
    """Return ``{file: seconds}`` of the tests in earlier pipelines of a script."""
    from conducto_cli.python_client.queries import seconds_of_files

    return seconds_of_files(program, target, profile)


def partition_states(target: TargetName, profile: str | None, function: str) -> dict[str, str]:
    """Return ``{key: state}`` of the partitions of a function of this script."""
    from conducto_cli.python_client.queries import partition_states as states

    return states(sys.argv[0] if sys.argv else "", function, target, profile)


def plan(root: NodeBase, options: LaunchOptions, target: str) -> int:
    """Print what a launch would take and cost in the cloud; return the exit code.

    ``target``: ``local`` or ``cloud``, whose cache decides about commands.
    """
    from conducto_cli.launch import local as receipt
    from conducto_cli.launch.plan_command import print_plan, program_plan
    from conducto_core.programs.rules.programs import made_by

    if receipt.is_wanted():
        made = None if options.call is None else made_by(options.call)
        program = options.argv[0] if options.argv else None
        receipt.write(plan=program_plan(root, program, made).model_dump(mode="json"))
        return 0
    return print_plan(root, options, target)


def load_python_client() -> ModuleType:
    """Return the module with ``co.launch`` and its relatives."""
    from conducto_cli import python_client as module

    return module


def secrets() -> ModuleType:
    from conducto_local.secrets import client

    return client
