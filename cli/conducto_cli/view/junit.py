"""The result of a pipeline as JUnit XML, which CI systems show as a test report.

Each Exec is a test case: its name is that of the node, its class the path of the group. The schema
is junit-10.xsd of Jenkins' xUnit plugin, which GitLab, GitHub Actions and others read as well.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from xml.sax.saxutils import escape, quoteattr

from conducto.errors import UsageError
from conducto_cli.view.report import plain_lines
from conducto_client import Client
from conducto_core.model.labels import cause_text
from conducto_core.model.params import MAX_TAILS, MAX_TREE_PAGE
from conducto_core.model.requests import NodeView, PipelineSummary
from conducto_core.model.states import FAILED, NodeType, State

#: Failures that quote the end of their output, and its lines.
MAX_QUOTED = 1000
_LINES = 50
#: Characters that XML cannot contain, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class _Totals:
    tests: int = 0
    failures: int = 0
    skipped: int = 0


def check_file(name: str) -> None:
    """Check that a report can be written, before anything runs.

    Raises:
        UsageError: it cannot.
    """
    try:
        with Path(name).open("ab"):
            pass
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
    with TemporaryFile("w+", encoding="utf-8") as cases:
        for view in _execs(client, pipeline_id):
            cases.write(_case(view, tails.get(view.path, ""), totals))
        cases.seek(0)
        try:
            with Path(name).open("w", encoding="utf-8") as file:
                file.write(_head(summary, totals))
                while part := cases.read(1 << 20):
                    file.write(part)
                file.write("</testsuite>\n</testsuites>\n")
        except OSError as error:
            raise UsageError(f"--junit {name}: {error.strerror}") from error


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


def _head(summary: PipelineSummary, totals: _Totals) -> str:
    record, took = summary.pipeline, 0.0
    if summary.started is not None and summary.ended is not None:
        took = max(0.0, summary.ended - summary.started)
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(summary.started or record.created))
    counted = f'tests="{totals.tests}" failures="{totals.failures}" errors="0"'
    name = _attribute(record.title)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name={name} {counted} time="{took:.3f}">\n'
        f'<testsuite name={name} id={_attribute(record.id)} {counted} skipped="{totals.skipped}" '
        f'time="{took:.3f}" timestamp="{when}">\n'
    )


def _case(view: NodeView, tail: str, totals: _Totals) -> str:
    group, _, name = view.path.rpartition("/")
    attempt = view.attempts[-1] if view.attempts else None
    took = 0.0
    if attempt is not None and attempt.started is not None and attempt.ended is not None:
        took = max(0.0, attempt.ended - attempt.started)
    totals.tests += 1
    head = f'classname={_attribute(group or "/")} name={_attribute(name)} time="{took:.3f}"'
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
