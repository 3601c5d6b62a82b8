"""The result of a pipeline as JUnit XML, which CI systems show as a test report.

Each Exec is a test case: its name is that of the node, its class the path of the group. The schema
is junit-10.xsd of Jenkins' xUnit plugin, which GitLab, GitHub Actions and others read as well.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from xml.sax.saxutils import escape, quoteattr

from conducto.data.files import copy_stream, write_atomically
from conducto.errors import UsageError
from conducto_cli.view.report import plain_lines
from conducto_client import Client
from conducto_core.programs.rules.comparison import seconds_of
from conducto_core.run.model.labels import cause_text
from conducto_core.run.model.params import MAX_TAILS, MAX_TREE_PAGE
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, NodeType, State
from conducto_core.run.rules.activity import active_time

#: Failures that quote the end of their output, and its lines.
MAX_QUOTED = 1000
_LINES = 50
#: Characters that XML cannot contain, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


#: The report of a run that was not reported: the file must not show an earlier run.
_NO_REPORT = "the run could not start, was interrupted, or continues without this report"


@dataclass(slots=True)
class _Totals:
    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0


def begin_junit(name: str) -> None:
    """Write a report with an error, which is replaced when the pipeline has ended.

    Raises:
        UsageError: it cannot be written.
    """
    if _is_stream(name):
        return
    head = _head(_Suite("conducto", "conducto", time.time()), _Totals(tests=1, errors=1))
    case = (
        '<testcase classname="conducto" name="run" time="0.000">'
        f"<error type={_attribute('not reported')} message={_attribute(_NO_REPORT)}/></testcase>\n"
    )
    _write(name, lambda file: file.write(f"{head}{case}{_END}".encode()))


def _is_stream(name: str) -> bool:
    """Return whether a file is written in one go, such as ``/dev/stdout``."""
    path = Path(name)
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(name: str, write: Callable[[IO[bytes]], object]) -> None:
    try:
        if _is_stream(name):
            with Path(name).open("wb") as file:
                write(file)
        else:
            write_atomically(os.path.realpath(name), write)
    except OSError as error:
        raise UsageError(f"--junit {name}: {error.strerror}") from error


def write_junit(client: Client, summary: PipelineSummary, name: str) -> None:
    """Write the report of a pipeline to a file; memory does not grow with the pipeline.

    Raises:
        UsageError: it cannot be written.
    """
    pipeline_id = summary.pipeline.id
    tails = _tails(client, pipeline_id)
    totals = _Totals()
    with TemporaryFile() as cases:
        for view in _execs(client, pipeline_id):
            cases.write(_case(view, tails.get(view.path, ""), totals).encode())
        cases.seek(0)
        head = _head(_suite_of(summary), totals)

        def write(file: IO[bytes]) -> None:
            file.write(head.encode())
            copy_stream(cases, file)
            file.write(_END.encode())

        _write(name, write)


def _execs(client: Client, pipeline_id: str) -> Iterator[NodeView]:
    views = client.tree(pipeline_id, attempts="newest", limit=MAX_TREE_PAGE)
    return (view for view in views if view.type is NodeType.EXEC)


def _tails(client: Client, pipeline_id: str) -> dict[str, str]:
    """Return the end of the output of the first failures."""
    found: dict[str, str] = {}
    for view in client.tree(
        pipeline_id, failed=True, attempts="newest", tails=True, limit=MAX_TAILS
    ):
        found[view.path] = "\n".join(plain_lines(view.tail or "")[-_LINES:])
        if len(found) == MAX_QUOTED:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Suite:
    id: str
    title: str
    started: float
    took: float = 0.0


def _suite_of(summary: PipelineSummary) -> _Suite:
    record, took = summary.pipeline, active_time(summary, time.time())
    return _Suite(record.id, record.title, summary.started or record.created, took or 0.0)


def _head(suite: _Suite, totals: _Totals) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(suite.started))
    counted = (
        f'tests="{totals.tests}" failures="{totals.failures}" errors="{totals.errors}" '
        f'time="{suite.took:.3f}"'
    )
    name = _attribute(suite.title)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites name={name} {counted}>\n"
        f"<testsuite name={name} id={_attribute(suite.id)} {counted} "
        f'skipped="{totals.skipped}" timestamp="{when}">\n'
    )


_END = "</testsuite>\n</testsuites>\n"


def _case(view: NodeView, tail: str, totals: _Totals) -> str:
    group, _, name = view.path.rpartition("/")
    attempt = view.attempts[-1] if view.attempts else None
    took = 0.0 if attempt is None else seconds_of(attempt) or 0.0
    totals.tests += 1
    head = f'classname={_attribute(group or "/")} name={_attribute(name or "/")} time="{took:.3f}"'
    if not view.skipped and view.state is State.DONE:
        return f"<testcase {head}/>\n"
    if view.skipped or view.state not in FAILED:
        totals.skipped += 1
        reason = "skipped" if view.skipped else "not run"
        return f'<testcase {head}><skipped message="{reason}"/></testcase>\n'
    totals.failures += 1
    cause = cause_text(view.cause, None if attempt is None else attempt.exit_code)
    said = tail or (attempt.message if attempt is not None else None) or ""
    kind = view.state if view.cause is None else view.cause
    return (
        f"<testcase {head}>"
        f"<failure type={_attribute(kind)} message={_attribute(cause)}>{_text(said)}</failure>"
        "</testcase>\n"
    )


def _text(text: str) -> str:
    return escape(_ILLEGAL.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_ILLEGAL.sub("\ufffd", text))
