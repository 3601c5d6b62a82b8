"""``conducto compile``: the state machines of a pipeline, without an AWS account."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto.cli.host.script_words import add_compile
from conducto.tree.printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conducto.model.nodes import Pipeline
    from conducto.semantics.asl import Compiled
    from conducto.tree.node import Node

_WRONG = 2


def compile_command(argv: Sequence[str]) -> int:
    """Print the state machines that run a pipeline in the cloud; nothing is sent anywhere.

    Args:
        argv: The words after ``conducto compile``.

    Returns:
        The exit code: 0; 2 for a wrong definition or command line, or for a machine that AWS
        would refuse.
    """
    try:
        options, words = _parser().parse_known_args(argv)
    except SystemExit as stop:  # argparse has printed the usage or an error
        return stop.code if isinstance(stop.code, int) else _WRONG
    from conducto import user_errors  # noqa: PLC0415 - not for --help
    from conducto.semantics.errors import DefinitionError  # noqa: PLC0415

    try:
        pipeline = _resolved(root_of(options.file, words))
        compiled = _compiled(pipeline, options.region, options.account)
    except DefinitionError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return _WRONG
    except Exception as error:
        if user_errors.debugging():
            raise
        return user_errors.report(error, Path(options.file).name)
    if options.svg is not None and not _drawn(compiled, pipeline, Path(options.svg)):
        return _WRONG
    return _show(compiled, pipeline, graph=options.graph)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conducto compile",
        usage="%(prog)s [--graph] [--svg FILE] [--region R] [--account A] FILE [METHOD [ARG ...]]",
        description="Print the AWS Step Functions state machines of a pipeline.",
        epilog="METHOD returns the tree; it may be left out when only one does.",
        allow_abbrev=False,
    )
    add_compile(parser)
    return parser


def root_of(file: str, words: Sequence[str]) -> Node:
    """Return the tree that a script's method returns.

    Raises:
        UsageError: there is no such file or method, or the arguments do not fit.
    """
    from conducto import methods  # noqa: PLC0415
    from conducto.annotations import signature_of  # noqa: PLC0415
    from conducto.arguments import Call, Words  # noqa: PLC0415
    from conducto.cli.entry import load  # noqa: PLC0415
    from conducto.tree.errors import NodeMethodError, UsageError  # noqa: PLC0415
    from conducto.tree.node import Node  # noqa: PLC0415

    if not Path(file).is_file():
        raise UsageError(f"error: no such file: {file!r}")
    found = methods.discover(vars(load(file)))
    name = words[0] if words else _only_pipeline(found)
    if name not in found:
        raise UsageError(f"error: {name} is not a method of {file}")
    call = Call(name, signature_of(found[name]))
    rest = Words(words[1:])
    while rest:
        word, value = rest.next()
        if word is None:
            call.take_positional(str(value))
        else:
            call.take(word, value, rest)
    call.finish()
    args, kwargs = call.arguments()
    root = found[name](*args, **kwargs)
    if not isinstance(root, Node):
        raise NodeMethodError(f"Expected {name} to return a Node, but it returned {root!r}")
    return root


def _only_pipeline(found: dict[str, Callable[..., Any]]) -> str:
    from conducto import methods  # noqa: PLC0415
    from conducto.tree.errors import UsageError  # noqa: PLC0415

    names = [name for name, method in found.items() if methods.node_type_of(method) is not None]
    if len(names) != 1:
        known = ", ".join(names) or "none"
        raise UsageError(f"error: must specify method; those that return a tree: {known}")
    return names[0]


def _resolved(root: Node) -> Pipeline:
    from conducto.semantics.resolve import resolve  # noqa: PLC0415
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415
    from conducto.tree.validate import validate  # noqa: PLC0415

    validate(root)
    return resolve(to_launch_form(root))


def _compiled(pipeline: Pipeline, region: str, account: str) -> Compiled:
    from conducto.semantics.asl import compile_residual  # noqa: PLC0415
    from conducto.semantics.asl_site import Site  # noqa: PLC0415
    from conducto.semantics.live import LiveTree  # noqa: PLC0415
    from conducto.semantics.residual import residual  # noqa: PLC0415

    return compile_residual(residual(LiveTree(pipeline)), Site(region, account))


def _drawn(compiled: Compiled, pipeline: Pipeline, file: Path) -> bool:
    """Write the picture; return whether that worked, told on stderr where it did not."""
    from conducto.semantics.asl_site import node_id  # noqa: PLC0415
    from conducto.semantics.asl_svg import svg  # noqa: PLC0415

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


def _show(compiled: Compiled, pipeline: Pipeline, *, graph: bool) -> int:
    from conducto.semantics.asl_draw import flowchart  # noqa: PLC0415
    from conducto.semantics.asl_lint import problems  # noqa: PLC0415
    from conducto.semantics.asl_site import node_id  # noqa: PLC0415

    if graph:
        drawn = flowchart(compiled, {node_id(path): path for path in pipeline.nodes})
        print(printable_lines(drawn), end="")
    else:
        print(json.dumps({"machines": [_as_json(m) for m in compiled.machines]}, indent=2))
    wrong = [
        f"{machine.path}: {problem}"
        for machine in compiled.machines
        for problem in problems(machine.definition, machine.name)
    ]
    for problem in wrong:
        print(printable_lines(problem), file=sys.stderr)
    print(_summary(compiled, sum(1 for _ in pipeline.execs())), file=sys.stderr)
    return _WRONG if wrong else 0


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
