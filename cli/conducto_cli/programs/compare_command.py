"""``conducto compare``: the differences between two pipelines."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_positive, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.text.text import Role, TextSpan, count_of, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_cli.text.text import Line
    from conducto_core.programs.history import Difference, DifferenceList, PipelineComparison

_LINES = 10
#: Title of each kind, and the color of its lines.
_KINDS = {
    "newly_failing": ("newly failing", Role.BAD),
    "fixed": ("fixed", Role.GOOD),
    "slower": ("slower", Role.PLAIN),
    "faster": ("faster", Role.PLAIN),
    "command": ("another command", Role.PLAIN),
    "parameter": ("another parameter", Role.PLAIN),
    "image": ("another definition or build of an image", Role.PLAIN),
    "node_image": ("in another image", Role.PLAIN),
    "result": ("another result", Role.PLAIN),
    "added": ("added", Role.PLAIN),
    "removed": ("removed", Role.PLAIN),
}
_TIMES = ("slower", "faster")
#: Kinds of which the name says it all.
_NAME_ONLY = ("newly_failing", "fixed", "added", "removed")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="A", help="ID of a pipeline")
    parser.add_argument("other", metavar="B", help="ID of a later pipeline")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=a_positive,
        default=_LINES,
        help=f"differences of each kind (default: {_LINES})",
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_cli.view.session import write_lines
    from conducto_core.programs.history import MAX_DIFFERENCES, ComparisonParams

    if arguments.limit > MAX_DIFFERENCES:
        raise UsageError(f"--limit is at most {MAX_DIFFERENCES}, got {arguments.limit}")
    with open_client() as client:
        before = find_pipeline(client, arguments.id).pipeline.id
        after = find_pipeline(client, arguments.other).pipeline.id
        query = ComparisonParams(id=after, other=before, limit=arguments.limit)
        found = client.compare_pipelines(query)
    if arguments.json:
        print(as_json(found))
    else:
        write_lines(_lines(found))
    return DONE


def _lines(found: PipelineComparison) -> Iterator[Line]:
    nodes = count_of(found.nodes, "command")
    yield (TextSpan(f"{found.before} → {found.after}: both have {nodes}", Role.FAINT),)
    for each in found.differences:
        yield from _of_kind(each)
    if not found.differences:
        yield (TextSpan("no difference in outcome, time, command, image or result", Role.FAINT),)
    if not found.complete:
        yield (TextSpan("there are more results than are compared", Role.FAINT),)


def _of_kind(found: DifferenceList) -> Iterator[Line]:
    title, role = _KINDS[found.kind.value]
    yield (TextSpan(f"{found.count:,} {title}", Role.STRONG),)
    for one in found.items:
        yield (TextSpan("  "), TextSpan(_text(found.kind.value, one), role))
    hidden = found.count - len(found.items)
    if hidden:
        yield (TextSpan(f"  {hidden:,} more; choose with --limit, or use --json", Role.FAINT),)


def _text(kind: str, one: Difference) -> str:
    from conducto_core.run.model.labels import duration

    name = printable(one.name)
    if kind in _NAME_ONLY:
        return name
    if kind in _TIMES and one.seconds is not None:
        sign = "+" if one.seconds > 0 else "-"
        return f"{name}  {sign}{duration(abs(one.seconds))}"
    before, after = ("-" if value is None else value for value in (one.before, one.after))
    return f"{name}  {printable(before)} → {printable(after)}"
