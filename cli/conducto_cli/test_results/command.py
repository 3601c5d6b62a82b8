"""``conducto tests``: the tests of a pipeline or of a program, and quarantines."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import printable, printable_lines, shell_word
from conducto_cli.app.arguments import a_moment, a_positive, add_json
from conducto_cli.app.records import moment, show
from conducto_cli.text.text import count_of, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.run.model.records import PipelineRecord
    from conducto_core.run.model.requests import PipelineSummary
    from conducto_core.test_results.model import (
        PipelineTest,
        PipelineTests,
        ProgramTests,
        Quarantine,
        TestCounts,
        TestHistory,
    )

_LAST = 50
#: The longest quarantine, without the time of the request.
_RULE_SECONDS = 365 * 86_400 - 60
_SHOWN = 20
_CHANGES = {"new_failure": "new", "still_failing": "still", "fixed": "fixed"}


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        default="@last",
        help="ID of a pipeline, or for the tests of a program its title, or the repository of "
        "triggers such as acme/app (default: @last)",
    )
    kinds = parser.add_mutually_exclusive_group()
    for name, help_ in (
        ("failed", "only tests that failed"),
        ("flaky", "only tests that failed and passed with the same inputs"),
        ("slow", "the slowest tests first"),
    ):
        kinds.add_argument(
            f"--{name}", dest="only", action="store_const", const=name, default="all", help=help_
        )
    parser.add_argument(
        "--last", metavar="N", type=a_positive, default=_LAST, help=f"tests (default: {_LAST})"
    )
    parser.add_argument(
        "--quarantine", metavar="TEST", help="do not count the failures of a test for some time"
    )
    parser.add_argument(
        "--until",
        metavar="WHEN",
        type=partial(a_moment, ahead=True),
        help="end of the quarantine: a date such as 2026-12-31, or 14d from now",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why the test is quarantined")
    parser.add_argument(
        "--quarantine-flaky",
        metavar="N",
        type=a_positive,
        help="from now on, quarantine each test that was flaky in N pipelines, for 14 days; end "
        "the rule with --end-quarantine '*'",
    )
    parser.add_argument(
        "--end-quarantine", metavar="TEST", help="count the failures of a test again"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    _check(arguments)
    from conducto_core.test_results.model import PipelineTestParams, ProgramTestParams

    with open_client() as client:
        summary, is_program = _find(client, arguments.id)
        id_ = summary.pipeline.id
        if arguments.quarantine is not None or arguments.quarantine_flaky is not None:
            found: object = _quarantine(client, id_, arguments)
        elif arguments.end_quarantine is not None:
            ended = _end(client, id_, arguments.end_quarantine)
            return show(arguments, ended, [_ended_line(ended)])
        elif is_program:
            found = client.program_tests(
                ProgramTestParams(id=id_, only=arguments.only, limit=arguments.last)
            )
        else:
            found = client.pipeline_tests(
                PipelineTestParams(id=id_, only=arguments.only, limit=arguments.last)
            )
    return show(arguments, found, _lines(found))


def _check(arguments: argparse.Namespace) -> None:
    if arguments.quarantine is not None and arguments.end_quarantine is not None:
        raise UsageError("--quarantine and --end-quarantine exclude each other")
    if arguments.quarantine is not None and (arguments.until is None or not arguments.reason):
        raise UsageError("--quarantine needs --until WHEN and --reason TEXT")
    if arguments.quarantine is not None and arguments.quarantine_flaky is not None:
        raise UsageError("--quarantine and --quarantine-flaky exclude each other")
    is_for_both = arguments.quarantine is None and arguments.quarantine_flaky is None
    if is_for_both and (arguments.until is not None or arguments.reason):
        raise UsageError("--until and --reason belong to --quarantine TEST")


def _find(client: Client, reference: str) -> tuple[PipelineSummary, bool]:
    """Return a pipeline, or the newest of a program, and whether it stands for its program."""
    from conducto_cli.target.lookup import find_pipeline, newest
    from conducto_core.run.model.params import MAX_TEXT, ListParams

    query = ListParams(text=reference[:MAX_TEXT], lifecycle="all")
    named = [e for e in client.list_page(query).pipelines if reference in _names(e.pipeline)]
    if named:
        return newest(named)[0], True
    return find_pipeline(client, reference), False


def _names(record: PipelineRecord) -> tuple[str, ...]:
    git = record.git
    return (record.title,) if git is None or not git.trigger else (record.title, git.repository)


def _quarantine(client: Client, id_: str, arguments: argparse.Namespace) -> Quarantine:
    from conducto_cli.target.account import checked
    from conducto_core.test_results.model import ALL_FLAKY, QuarantineRequest

    number = arguments.quarantine_flaky
    until, reason = arguments.until, arguments.reason
    if number is not None:
        until = time.time() + _RULE_SECONDS if until is None else until
        reason = reason or f"flaky in {number} pipelines"
    request = checked(
        QuarantineRequest,
        test=arguments.quarantine or ALL_FLAKY,
        until=until,
        reason=reason,
        automatic=number,
    )
    return client.quarantine_test(id_, request)


def _end(client: Client, id_: str, test: str) -> Quarantine:
    from conducto_core.test_results.model import ProgramTestParams

    known = client.program_tests(ProgramTestParams(id=id_, limit=1)).quarantines
    found = next((each for each in known if each.test == test), None)
    if found is None:
        names = ", ".join(each.test for each in known) or "none"
        raise UsageError(f"{test!r} is not quarantined (quarantined: {names})")
    return client.end_quarantine(id_, found.name)


def _lines(found: object) -> Iterator[str]:
    from conducto_core.test_results.model import PipelineTests, ProgramTests, Quarantine

    match found:
        case PipelineTests():
            yield from _of_pipeline(found)
        case ProgramTests():
            yield from _of_program(found)
        case Quarantine():
            yield _quarantine_line(found)
        case _:
            raise TypeError(f"no tests: {found!r}")


def _quarantine_line(found: Quarantine) -> str:
    if found.automatic is not None:
        until = moment(found.until)
        number = found.automatic
        return f"tests that are flaky in {number} pipelines are quarantined, until {until}"
    by, reason = printable(found.by), printable(found.reason)
    return f"{printable(found.test)}: quarantined until {moment(found.until)} by {by}: {reason}"


def _ended_line(found: Quarantine) -> str:
    if found.automatic is not None:
        return "flaky tests are not quarantined any more"
    return f"{printable(found.test)}: its failures count again"


def _suggestions(id_: str, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the commands that quarantine flaky tests."""
    if names:
        yield "flaky tests stop no pipeline while they are quarantined:"
    for name in names:
        test = shell_word(name)
        yield f"  conducto tests {id_} --quarantine {test} --until 14d --reason TEXT"


def _of_pipeline(found: PipelineTests) -> Iterator[str]:
    if not found.counts.total:
        yield f'{found.pipeline} has no tests; set junit="reports/*.xml" on a node'
    else:
        yield _counts(found.counts, found)
    for test in found.tests:
        yield from _test(test)
    if found.more:
        yield f"and {found.more:,} more; see them with --last {found.more + len(found.tests)}"
    yield from (f"warning: {printable(each)}" for each in found.problems)
    yield from _suggestions(found.pipeline, found.suggested)


def _counts(counts: TestCounts, found: PipelineTests) -> str:
    changes = {"new": found.new_failures, "fixed": found.fixed, "quarantined": found.quarantined}
    known = ", ".join(f"{number:,} {name}" for name, number in changes.items() if number)
    states = {
        "failed": counts.failed,
        "flaky": counts.flaky,
        "passed": counts.passed,
        "skipped": counts.skipped,
    }
    parts = ", ".join(f"{number:,} {name}" for name, number in states.items() if number)
    note = f" ({known})" if known else ""
    return f"{count_of(counts.total, 'test')}: {parts}{note}; {counts.seconds:.1f} s in total"


def _test(test: PipelineTest) -> Iterator[str]:
    words = [test.outcome.value]
    if test.change is not None:
        words.append(_CHANGES[test.change.value])
    if test.flaky and test.outcome.value != "flaky":
        words.append("flaky")
    if test.quarantined:
        words.append("quarantined")
    time_ = f"{test.seconds:.2f} s"
    yield f"{', '.join(words):<16} {printable(test.name)}  {printable(test.path)}  {time_}"
    if test.outcome.value != "passed" and test.message:
        yield f"    {printable(test.message)}"
    if test.outcome.value == "failed" and test.output:
        yield from (f"    | {line}" for line in printable_lines(test.output).splitlines()[-_SHOWN:])


def _of_program(found: ProgramTests) -> Iterator[str]:
    tested = [each for each in found.pipelines if each.passed + each.failed + each.skipped]
    if not tested:
        yield 'no tests; set junit="reports/*.xml" on a node of the program'
        return
    newest = tested[-1]
    yield (
        f"{count_of(len(tested), 'pipeline')} with tests; newest {newest.id}: {newest.failed:,} "
        f"failed, {newest.passed:,} passed, {newest.skipped:,} skipped"
    )
    rows = [("test", "outcomes", "flaky", "time"), *(_row(test) for test in found.tests)]
    yield from table(rows)
    if found.more:
        yield f"and {found.more:,} more; see them with --last {found.more + len(found.tests)}"
    yield from map(_quarantine_line, found.quarantines)
    yield from _suggestions(newest.id, found.suggested)
    if not found.complete:
        yield "not all pipelines were read in time; repeat the command for the others"


def _row(test: TestHistory) -> tuple[str, ...]:
    flaky = f"{test.flaky:,}" if test.flaky else ""
    return printable(test.name), test.outcomes[-_SHOWN:], flaky, f"{test.seconds:.2f} s"
