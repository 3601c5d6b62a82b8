"""The check run of a pipeline, as requests to GitHub's API. Pure.

GitHub adds the annotations of each request to those before; an ended check run is not started
again, so each run of a pipeline after the first one gets a check run of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from conducto.wire.printable import shell_word
from conducto_core.annotations.model import Level, NodeAnnotation
from conducto_core.annotations.rules import is_in_repository
from conducto_core.command.masking import Mask
from conducto_core.coverage.model import CoverageReport
from conducto_core.coverage.rules import numbers, percent_text, uncovered
from conducto_core.diagnosis.model import Diagnosis
from conducto_core.diagnosis.rules.first_error import clean
from conducto_core.diagnosis.rules.markdown import escaped, markdown
from conducto_core.run.model.states import State

#: Maximum annotations of a request, and bytes of a summary; GitHub counts characters.
ANNOTATIONS_AT_ONCE = 50
MAX_SUMMARY = 60_000
#: Maximum number of annotations of a check run.
MAX_ANNOTATIONS = 200
RERUN, APPROVE = "rerun", "approve"
_MAX_TITLE = 255
_MAX_DIAGNOSIS = 20_000
_MAX_UNCOVERED = 20
_LEVELS = {Level.ERROR: "failure", Level.WARNING: "warning", Level.NOTICE: "notice"}
_CONCLUSIONS = {State.DONE: "success", State.ERROR: "failure", State.KILLED: "cancelled"}


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What a check run shows.

    Attributes:
        name: Name of the check.
        state: Of the pipeline; `State.QUEUED` if an approval waits.
        about: The node that waits for an approval, or ``/``.
        page: Address of the pipeline's page, or None.
        diagnosis: Of a pipeline that ended.
        notes: Further paragraphs of Markdown.
    """

    pipeline: str
    name: str
    sha: str
    state: State
    about: str = "/"
    page: str | None = None
    diagnosis: Diagnosis | None = None
    annotations: Sequence[NodeAnnotation] = ()
    notes: Sequence[str] = ()


def requests_of(facts: CheckFacts, mask: Mask) -> list[dict[str, Any]]:
    """Return the bodies of the requests; all but the last one leave the check run open."""
    ended = {"conclusion": _conclusion(facts)} if _conclusion(facts) else {}
    batches = _batches([_annotation(each, mask) for each in _shown(facts.annotations)])
    output = {"title": _title(facts), "summary": _summary(facts, mask)}
    fixed: dict[str, Any] = {
        "name": facts.name,
        "head_sha": facts.sha,
        "external_id": facts.pipeline,
        "status": "in_progress",
    }
    if facts.page is not None:
        fixed["details_url"] = facts.page
    bodies = [{**fixed, "output": {**output, "annotations": each}} for each in batches]
    bodies[-1] |= {**({"status": "completed"} if ended else {}), **ended}
    bodies[-1]["actions"] = _buttons(facts)
    return bodies


def coverage_notes(report: CoverageReport, changed: Mapping[str, set[int]]) -> list[str]:
    """Return paragraphs about the coverage: its difference, and changed lines that did not run."""
    if not report.lines:
        return []
    base = report.base
    before = None if base is None else (base.covered, base.lines)
    text = f"**Coverage: {percent_text(report.covered, report.lines, before)}**"
    if base is not None:
        text += f" compared with {escaped(base.branch or '')} {base.pipeline}".replace("  ", " ")
    missed = uncovered({each.file: numbers(each.missed) for each in report.files}, changed)
    shown = [f"- {escaped(name)}: {lines[:200]}" for name, lines in missed.items()]
    more = len(shown) - _MAX_UNCOVERED
    rest = [f"- {more} more files"] if more > 0 else []
    if not shown:
        return [text]
    return [text, "\n".join(["Changed lines that did not run:", *shown[:_MAX_UNCOVERED], *rest])]


def open_check(listed: Iterable[dict[str, Any]], pipeline: str) -> int | None:
    """Return the number of the newest check run of a pipeline that has not ended, or None."""
    numbers = [
        int(each["id"])
        for each in listed
        if each.get("external_id") == pipeline and each.get("status") != "completed"
    ]
    return max(numbers, default=None)


def _conclusion(facts: CheckFacts) -> str | None:
    if facts.state is State.QUEUED:
        return "action_required"
    return _CONCLUSIONS.get(facts.state)


def _shown(annotations: Sequence[NodeAnnotation]) -> list[NodeAnnotation]:
    return [each for each in annotations if is_in_repository(each.file)][:MAX_ANNOTATIONS]


def _batches(annotations: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return at least one batch, with the most severe annotations in the first."""
    starts = range(0, max(1, len(annotations)), ANNOTATIONS_AT_ONCE)
    return [annotations[start : start + ANNOTATIONS_AT_ONCE] for start in starts]


def _annotation(one: NodeAnnotation, mask: Mask) -> dict[str, Any]:
    line = max(1, one.line)
    title = mask.text(one.title)[:_MAX_TITLE]
    return {
        "path": mask.text(one.file),
        "start_line": line,
        "end_line": line,
        "annotation_level": _LEVELS[one.level],
        "message": mask.text(one.message),
        **({"title": title} if title else {}),
    }


def _title(facts: CheckFacts) -> str:
    if facts.state is State.QUEUED:
        return "An approval waits"
    found = facts.diagnosis
    if found is None or not found.failures:
        return {State.RUNNING: "Running", State.DONE: "Done"}.get(facts.state, "Ended")
    tests = found.tests.counts.failed if found.tests is not None else 0
    failed = f"{found.failures} of {found.counts.total} commands failed"
    return f"{failed}, {tests} tests" if tests else failed


def _summary(facts: CheckFacts, mask: Mask) -> str:
    lines = []
    if facts.state is State.QUEUED:
        lines.append(f"{escaped(facts.about)} waits for an approval.")
    if facts.diagnosis is not None:
        lines.append(markdown(facts.diagnosis, _MAX_DIAGNOSIS))
        lines += _debug(facts, facts.diagnosis)
    lines += facts.notes
    text = mask.text("\n\n".join(lines) or f"Pipeline {facts.pipeline}")
    return text.encode()[:MAX_SUMMARY].decode(errors="ignore")


def _debug(facts: CheckFacts, found: Diagnosis) -> list[str]:
    """Return how to open a shell where a node failed: a person decides, so it is a link."""
    cause = next((each for each in found.causes if each.paths), None)
    if cause is None:
        return []
    path = cause.paths[0]
    words = clean(f"conducto debug {facts.pipeline} {shell_word(path)}")
    command = escaped(words) if "`" in words else f"`{words}`"
    if facts.page is None:
        return [f"Debug it: {command}"]
    return [f"[Debug {escaped(path)}]({facts.page}?{urlencode({'node': path})}), or {command}"]


def _buttons(facts: CheckFacts) -> list[dict[str, str]]:
    if facts.state is State.QUEUED:
        about = "Approve the node that waits"
        return [{"label": "Approve", "description": about, "identifier": APPROVE}]
    if facts.state in {State.ERROR, State.KILLED}:
        about = "Run the failed commands again"
        return [{"label": "Rerun failed", "description": about, "identifier": RERUN}]
    return []
