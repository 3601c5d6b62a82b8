"""``conducto compile``: the state machines of a pipeline, without an AWS account."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto.wire.printable import printable_lines
from conducto_cli.app.arguments import add_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conducto.tree.nodes import Node
    from conducto_core.asl.rules.compiler import Compiled
    from conducto_core.tree.model import Pipeline
from conducto_cli.launch.script import root_of

_REGION = "us-east-1"
_ACCOUNT = "000000000000"
_WRONG = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_options(parser)
    add_method(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--graph", action="store_true", help="draw them as a Mermaid flowchart")
    parser.add_argument("--svg", metavar="FILE", help="draw them as a picture")
    parser.add_argument(
        "--region", metavar="R", default=_REGION, help=f"AWS region (default: {_REGION})"
    )
    parser.add_argument("--account", metavar="A", default=_ACCOUNT, help="AWS account, 12 digits")
    parser.add_argument("file", metavar="FILE", help="the script of the pipeline")


def run(argv: Sequence[str]) -> int:
    """Print the state machines that run a pipeline in the cloud; nothing is sent anywhere.

    Args:
        argv: The words after ``conducto compile``.

    Returns:
        The exit code: 0; 2 for a wrong definition or command line, or for a node that is too
        large for a state machine.
    """
    try:
        options, words = _parser().parse_known_args(argv)
    except SystemExit as stop:  # argparse has printed the usage or an error
        return stop.code if isinstance(stop.code, int) else _WRONG
    from conducto.script import user_errors  # noqa: PLC0415 - not for --help

    try:
        pipeline = _resolved(root_of(options.file, words))
        compiled = _compiled(pipeline, options.region, options.account)
    except Exception as error:
        if user_errors.debugging():
            raise
        return user_errors.report(error, Path(options.file).name)
    if options.svg is not None and not _drawn(compiled, pipeline, Path(options.svg)):
        return _WRONG
    _show(compiled, pipeline, graph=options.graph)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conducto compile",
        usage="%(prog)s [--graph] [--svg FILE] [--region R] [--account A] FILE [METHOD [ARG ...]]",
        description="Print the AWS Step Functions state machines of a pipeline.",
        epilog="METHOD returns the tree; it may be left out when only one does.",
        allow_abbrev=False,
    )
    _add_options(parser)
    return parser


def _resolved(root: Node) -> Pipeline:
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only
    from conducto.tree.validate import validate  # noqa: PLC0415
    from conducto_core.tree.rules.resolve import resolve  # noqa: PLC0415

    validate(root)
    return resolve(to_launch_form(root))


def _compiled(pipeline: Pipeline, region: str, account: str) -> Compiled:
    from conducto_core.asl.rules.compiler import compile_residual  # noqa: PLC0415
    from conducto_core.asl.rules.naming import Site  # noqa: PLC0415
    from conducto_core.asl.rules.states import residual  # noqa: PLC0415
    from conducto_core.run.rules.tree_state import TreeState  # noqa: PLC0415

    return compile_residual(residual(TreeState(pipeline)), Site(region, account))


def _drawn(compiled: Compiled, pipeline: Pipeline, file: Path) -> bool:
    """Write the picture; return whether that worked, with an error on stderr if not."""
    from conducto_core.asl.rules.labels import svg  # noqa: PLC0415
    from conducto_core.asl.rules.naming import node_id  # noqa: PLC0415

    picture = svg(compiled, {node_id(path): path for path in pipeline.nodes})
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        print(
            f"conducto compile: cannot write the picture to {file}: {error.strerror}",
            file=sys.stderr,
        )
        return False
    return True


def _show(compiled: Compiled, pipeline: Pipeline, *, graph: bool) -> None:
    from conducto_core.asl.rules.labels import flowchart  # noqa: PLC0415
    from conducto_core.asl.rules.naming import node_id  # noqa: PLC0415

    if graph:
        drawn = flowchart(compiled, {node_id(path): path for path in pipeline.nodes})
        print(printable_lines(drawn), end="")
    else:
        print(json.dumps({"machines": [_as_json(m) for m in compiled.machines]}, indent=2))
    print(_summary(compiled, sum(1 for _ in pipeline.execs())), file=sys.stderr)


def _as_json(machine: Any) -> dict[str, Any]:
    return {
        "name": machine.name,
        "path": machine.path,
        "tasks": machine.tasks,
        "events": machine.events,
        "bytes": len(machine.definition),
        "definition": json.loads(machine.definition),
    }


def _summary(compiled: Compiled, execs: int) -> str:
    size = sum(len(machine.definition) for machine in compiled.machines)
    machines = len(compiled.machines)
    return (
        f"{execs:,} Exec{'s' * (execs != 1)}, {machines:,} state machine{'s' * (machines != 1)}, "
        f"{size:,} bytes"
    )
