"""``conducto coverage``: the covered lines of a pipeline, and changed lines that did not run."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import a_positive, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.app.records import moment
from conducto_cli.text.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.coverage.model import CoverageReport

_LAST = 20
_COLUMNS = ("FILE", "COVERED", "BEFORE", "LINES THAT DID NOT RUN")
_MAX_RANGES = 60
_HISTORY_COLUMNS = ("PIPELINE", "CREATED", "BRANCH", "COVERED", "LINES", "")
_OF_HISTORY = {"id", "time", "branch", "lines", "covered"}


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", default="@last", help="ID of a pipeline (default: @last)"
    )
    parser.add_argument(
        "--diff",
        metavar="REF",
        help="lines that this checkout changed since REF, such as origin/main, and did not run",
    )
    parser.add_argument(
        "--last",
        metavar="N",
        type=a_positive,
        default=_LAST,
        help=f"files, or pipelines (default: {_LAST})",
    )
    parser.add_argument(
        "--history", action="store_true", help="the coverage of the last pipelines of its program"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.coverage.model import MAX_LISTED, CoverageParams

    if arguments.history:
        return _print_history(arguments, open_client)
    changed = None if arguments.diff is None else _changed_lines(arguments.diff)
    limit = arguments.last if changed is None else MAX_LISTED
    with open_client() as client:
        id_ = find_pipeline(client, arguments.id).pipeline.id
        report = client.coverage(CoverageParams(id=id_, limit=limit))
    missed = None if changed is None else _uncovered(report, changed)
    if arguments.json:
        document = report.model_dump(mode="json")
        print(as_json(document if missed is None else {**document, "uncovered": missed}))
    else:
        print("\n".join(_lines(report, missed, arguments.last)))
    return DONE


def _print_history(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.coverage.rules import percent, percent_text
    from conducto_core.test_results.model import ProgramTestParams

    if arguments.diff is not None:
        raise UsageError("--history and --diff exclude each other")
    with open_client() as client:
        id_ = find_pipeline(client, arguments.id).pipeline.id
        found = client.program_tests(ProgramTestParams(id=id_, limit=1))
    covered = [each for each in found.pipelines if each.lines]
    shown = covered[-arguments.last :]
    if arguments.json:
        print(as_json([each.model_dump(mode="json", include=_OF_HISTORY) for each in shown]))
        return DONE
    if not shown:
        print('no coverage; set coverage="coverage.xml" on a node of the program')
        return DONE
    rows, before = [], covered[-len(shown) - 1] if len(covered) > len(shown) else None
    for each in shown:
        earlier = None if before is None else (before.covered, before.lines)
        text = percent_text(each.covered, each.lines, earlier)
        bar = "█" * round(percent(each.covered, each.lines) / 5)
        branch = printable(each.branch or "-")
        rows.append((each.id, moment(each.time), branch, text, f"{each.lines:,}", bar))
        before = each
    print("\n".join(table([_HISTORY_COLUMNS, *rows])))
    return DONE


def _changed_lines(ref: str) -> dict[str, set[int]]:
    """Return ``{file: lines}`` that the checkout changed since it left a branch or commit."""
    from conducto_core.coverage.rules import files_in_diff

    if ref.startswith("-"):
        raise UsageError(f"--diff: {ref!r} is not a branch or commit")
    options = ["--no-color", "--no-ext-diff", "--relative", "-U0", "--merge-base"]
    command = ["git", "diff", *options, ref]
    try:
        found = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    except FileNotFoundError:
        raise UsageError("--diff needs git, which is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise UsageError(f"--diff: git cannot compare with {ref}: {reason}") from error
    return files_in_diff(found.stdout.decode(errors="replace"))


def _uncovered(report: CoverageReport, changed: Mapping[str, set[int]]) -> dict[str, str]:
    from conducto_core.coverage.rules import numbers, uncovered

    return uncovered({each.file: numbers(each.missed) for each in report.files}, changed)


def _lines(report: CoverageReport, missed: Mapping[str, str] | None, last: int) -> Iterator[str]:
    from conducto_core.coverage.rules import percent, percent_text

    if not report.lines:
        yield f'{report.pipeline} has no coverage; set coverage="coverage.xml" on a node'
        yield from (printable(each) for each in report.problems)
        return
    base = report.base
    before = None if base is None else (base.covered, base.lines)
    text = percent_text(report.covered, report.lines, before)
    yield f"coverage of {report.pipeline}: {text}, {report.covered:,} of {report.lines:,} lines"
    if base is not None:
        of = "" if base.branch is None else f" of {printable(base.branch)}"
        yield f"compared with {base.pipeline}{of}"
    yield from (printable(each) for each in report.problems)
    if missed is not None:
        yield ""
        yield (
            "changed lines that did not run:"
            if missed
            else "all changed lines ran, or are not code"
        )
        yield from (f"  {printable(name)}: {lines}" for name, lines in missed.items())
        return
    rows = [
        (
            printable(each.file),
            f"{percent(each.covered, each.lines):.1f} %",
            "-" if each.before is None else f"{each.before:.1f} %",
            each.missed if len(each.missed) <= _MAX_RANGES else f"{each.missed[:_MAX_RANGES]}…",
        )
        for each in report.files[:last]
    ]
    yield from ("", *table([_COLUMNS, *rows]))
    if report.more:
        yield f"{report.more:,} more files; --last shows more"
