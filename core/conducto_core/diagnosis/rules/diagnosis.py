"""The diagnosis of a pipeline from its facts."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from conducto_core.annotations.model import NodeAnnotation
from conducto_core.diagnosis.model import (
    MAX_CAUSES,
    MAX_CHANGES,
    MAX_COMMITS,
    MAX_PATHS,
    CommitSubject,
    Diagnosis,
    EarlierPipeline,
    ErrorExcerpt,
    FailureCause,
    NextStep,
    PipelineChange,
)
from conducto_core.diagnosis.rules.first_error import (
    GENERIC,
    IN_MESSAGE,
    MAX_ERROR,
    error_in,
    shortened,
    signature_of,
)
from conducto_core.programs.history import MAX_NAMES, ChangedField
from conducto_core.programs.rules.comparison import seconds_of
from conducto_core.programs.rules.fingerprints import CODE
from conducto_core.run.model.records import AttemptRecord, FirstError
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, Cause, NodeType, State
from conducto_core.test_results.model import PipelineTests

_MAX_COMMAND = 2000
#: Characters of a command that differs, and of those the equal ones in front of the difference.
_MAX_DIFFERENCE, _SAME_SHOWN = 80, 20
_EXITS = {
    126: "not executable",
    127: "command not found",
    134: "aborted",
    137: "SIGKILL",
    139: "segmentation fault",
    143: "SIGTERM",
}
_REASONS = {
    Cause.WORKER_LOST: "its container or worker was lost",
    Cause.SPOT: "AWS interrupted its Spot worker",
    Cause.LAZY: "it generated no valid tree",
    Cause.INPUT: "a result that it uses does not exist",
    Cause.SERVICE: "a service beside it was not ready, or ended",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A node that failed by itself, with its newest attempt.

    Attributes:
        searched: Its error was searched for this request.
    """

    node: NodeView
    attempt: AttemptRecord | None
    error: FirstError
    searched: bool = False

    @property
    def cause(self) -> Cause:
        """The cause of the failure."""
        return self.node.cause or Cause.EXIT_CODE

    @property
    def key(self) -> tuple[Cause, int | None, str]:
        """Identifies its cause."""
        code = None if self.attempt is None or self.cause in GENERIC else self.attempt.exit_code
        return self.cause, code, self.error.signature


@dataclass(frozen=True, slots=True)
class CauseHistory:
    """The first node of a cause in earlier pipelines.

    Attributes:
        outcomes: A letter for each, the oldest first, without this pipeline.
        commands: The command that each ran, or None.
        changed: The inputs that differ from the attempt that passed last.
        at_start: Fields and names that changed where it first failed since then.
        passed_in: The pipeline of that attempt.
        before: The command of that attempt.
        comparable: All inputs of both are known, also those that are digests.
    """

    outcomes: str = ""
    commands: tuple[str | None, ...] = ()
    changed: tuple[ChangedField, ...] = ()
    at_start: tuple[ChangedField, ...] = ()
    passed_in: str | None = None
    before: str = ""
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """A pipeline.

    Attributes:
        groups: The failures by cause, from `grouped`.
        excerpts: ``{path: excerpt}`` of the first failures.
        earlier: Pipelines of the program before this one, the newest first.
        histories: ``{path: history}`` of the first failures.
        images: ``{image: (before, after)}`` that differ from the last good pipeline.
        parameters: The same of parameters.
        fixed: Nodes that failed in the previous pipeline and are done; None: not compared.
        commits: Those before the commit of the pipeline, and that, the newest first.
        shas: ``{pipeline: its commit}``.
        tests: Failed tests of the pipeline; None without any.
        annotations: Of the first failures.
    """

    summary: PipelineSummary
    groups: Sequence[Sequence[Failure]] = ()
    complete: bool = True
    excerpts: Mapping[str, ErrorExcerpt] = field(default_factory=dict)
    earlier: Sequence[EarlierPipeline] = ()
    histories: Mapping[str, CauseHistory] = field(default_factory=dict)
    images: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    fixed: int | None = None
    commits: Sequence[CommitSubject] = ()
    shas: Mapping[str, str] = field(default_factory=dict)
    blocked_paths: Sequence[str] = ()
    tests: PipelineTests | None = None
    annotations: tuple[NodeAnnotation, ...] = ()


def error_of(node: NodeView, attempt: AttemptRecord | None) -> FirstError | None:
    """Return the error of a failed node, as far as its records have it; None: search for it."""
    cause = node.cause or Cause.EXIT_CODE
    message = (attempt.message if attempt is not None else None) or ""
    if cause in IN_MESSAGE and message:
        return error_in(message)
    if node.type is not NodeType.EXEC or cause in GENERIC:
        text = message if attempt is None else _shown(attempt, message)
        return FirstError(signature="", text=shortened(text, MAX_ERROR))
    if attempt is not None and attempt.first_error is not None:
        return attempt.first_error
    if attempt is None or not attempt.output_bytes:
        text = message or (attempt.command if attempt is not None else node.command) or ""
        line = shortened(text.split("\n", maxsplit=1)[0], MAX_ERROR)
        return FirstError(signature=signature_of(line), text=message and line)
    return None


def _shown(attempt: AttemptRecord, message: str) -> str:
    return message if attempt.first_error is None else attempt.first_error.text


def grouped(failures: Iterable[Failure]) -> list[list[Failure]]:
    """Return the failures by cause: the largest group first, equal ones in tree order."""
    found: dict[tuple[Cause, int | None, str], list[Failure]] = {}
    for failure in failures:
        found.setdefault(failure.key, []).append(failure)
    return sorted(found.values(), key=lambda group: -len(group))


def diagnose(facts: Facts) -> Diagnosis:
    """Return the diagnosis."""
    summary = facts.summary
    record = summary.pipeline
    shown, hidden = facts.groups[:MAX_CAUSES], facts.groups[MAX_CAUSES:]
    causes = tuple(_cause(facts, group) for group in shown)
    earlier = list(reversed(facts.earlier))
    baseline = next((each for each in facts.earlier if each.state is State.DONE), None)
    bad = list(takewhile(lambda each: each.state is not State.DONE, facts.earlier))
    failed = [each.id for each in bad if each.state in FAILED]
    failures = sum(map(len, facts.groups))
    newly = sum(each.count for each in causes if each.is_new) if facts.earlier else 0
    here = EarlierPipeline(id=record.id, state=summary.state, started=summary.started)
    changes = _changes(facts, causes)
    commits = () if baseline is None else _commits(facts, record.id, baseline.id)
    blocked = max(0, summary.counts.pending) if failures else 0
    return Diagnosis(
        pipeline=record.id,
        title=record.title,
        state=summary.state,
        settled=summary.settled,
        counts=summary.counts,
        seconds=summary.active_seconds,
        problem=record.problem,
        failures=failures,
        complete=facts.complete,
        causes=causes,
        more_causes=len(hidden),
        more_failures=sum(map(len, hidden)),
        baseline=baseline,
        first_bad=failed[-1] if failed else record.id if baseline and failures else None,
        earlier=(*earlier, here),
        newly_failing=newly,
        still_failing=sum(each.count for each in causes) - newly if facts.earlier else 0,
        fixed=facts.fixed,
        flaky=sum(each.count for each in causes if each.flaky),
        changes=changes,
        unchanged=_unchanged(facts, changes),
        commits=tuple(commits[:MAX_COMMITS]),
        more_commits=bool(commits) and len(commits) == len(facts.commits),
        tests=facts.tests,
        annotations=facts.annotations,
        blocked=blocked,
        blocked_paths=tuple(facts.blocked_paths) if blocked else (),
        next_steps=_next_steps(summary, causes),
    )


def _cause(facts: Facts, group: Sequence[Failure]) -> FailureCause:
    first = group[0]
    node, attempt, path = first.node, first.attempt, first.node.path
    history = facts.histories.get(path, CauseHistory())
    seconds = None if attempt is None else seconds_of(attempt)
    command = (attempt.command if attempt is not None else None) or node.command or ""
    failing = len(history.outcomes) - len(history.outcomes.rstrip("f"))
    key = "|".join(str(part) for part in first.key)
    mem = (attempt.mem if attempt is not None else None) or node.mem
    return FailureCause(
        signature=first.error.signature or hashlib.sha256(key.encode()).hexdigest()[:8],
        cause=first.cause,
        exit_code=None if attempt is None else attempt.exit_code,
        count=len(group),
        paths=tuple(each.node.path for each in group[:MAX_PATHS]),
        reason=_reason(first, seconds, mem),
        error=first.error.text,
        excerpt=facts.excerpts.get(path),
        attempt=0 if attempt is None else attempt.number,
        command=command[:_MAX_COMMAND],
        place=None if node.file is None else f"{node.file}:{node.line}",
        image=node.image,
        seconds=seconds,
        output_bytes=None if attempt is None else attempt.output_bytes,
        searched=first.searched,
        is_new=not failing,
        since=facts.earlier[failing - 1].id if failing else None,
        outcomes=f"{history.outcomes}f" if history.outcomes.strip("-") else "",
        flaky=_is_flaky(history, command),
        changed=history.changed,
        passed_in=history.passed_in,
        limit={Cause.TIMEOUT: node.max_time, Cause.OUT_OF_MEMORY: mem}.get(first.cause),
    )


def _is_flaky(history: CauseHistory, command: str) -> bool:
    """Return whether a node passed after a retry, or failed, passed and failed, unchanged."""
    same = [
        letter
        for letter, before in zip(history.outcomes, history.commands, strict=True)
        if before == command
    ]
    text = "".join(same)
    return "r" in text or "fp" in text.replace("-", "")


def _reason(failure: Failure, seconds: float | None, mem: float | None) -> str:
    match failure.cause:
        case Cause.TIMEOUT:
            limit = failure.node.max_time
            subject = "the group's" if failure.node.type is not NodeType.EXEC else "its"
            ran = "" if seconds is None else f"ran {seconds:.1f} s; "
            return f"time limit: {ran}{subject} max_time is {limit or 0:g} s"
        case Cause.OUT_OF_MEMORY:
            return f"out of memory: mem is {mem:g} GB" if mem else "out of memory"
        case Cause.IMAGE:
            return f"its image {failure.node.image!r} could not be built or pulled, or not started"
        case Cause.EXIT_CODE:
            code = None if failure.attempt is None else failure.attempt.exit_code
            meaning = _EXITS.get(code or 0)
            return f"exit code {code}" + (f" ({meaning})" if meaning else "")
        case cause:
            return _REASONS.get(cause, cause.value.replace("_", " "))


def _changes(facts: Facts, causes: Sequence[FailureCause]) -> tuple[PipelineChange, ...]:
    found: dict[tuple[str, str, tuple[str, ...]], PipelineChange] = {}
    for kind, values in (("parameter", facts.parameters), ("image", facts.images)):
        for name, (before, after) in values.items():
            change = PipelineChange(kind=kind, name=name, before=before, after=after)
            found[kind, name, ()] = change
    for at, cause in enumerate(causes):
        history = facts.histories.get(cause.paths[0], CauseHistory())
        at_start = {each.field: each for each in history.at_start}
        for each in history.changed:
            # Equal changes of several causes are one: a variable, a file, a base image.
            shared = cause.paths[0] if each.field == "command" or not each.names else ""
            key = (each.field, shared, each.names)
            pair: tuple[str | None, str | None] = (None, None)
            if each.field == "command":
                command = facts.groups[at][0].attempt
                pair = _differing(history.before, "" if command is None else command.command)
            known = found.get(key) or PipelineChange(
                kind=each.field,
                name=shared or cause.paths[0],
                names=each.names,
                before=pair[0],
                after=pair[1],
            )
            if each.field in at_start and _is_suspect(at_start[each.field], cause):
                names = sorted(known.names, key=lambda name: not _names(cause, name))
                more = {"suspect": True, "causes": (*known.causes, at), "names": tuple(names)}
                known = known.model_copy(update=more)
            found[key] = known
    found.update(_suspect_commits(facts, causes))
    ordered = sorted(found.values(), key=lambda each: not each.suspect)
    return tuple(ordered[:MAX_CHANGES])


def _differing(before: str, after: str) -> tuple[str, str]:
    """Return the parts of two commands around their first difference."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))
    start = max(0, same - _SAME_SHOWN) if max(len(before), len(after)) > _MAX_DIFFERENCE else 0
    mark = "…" if start else ""
    old, new = (
        mark + shortened(text[start:].partition("\n")[0], _MAX_DIFFERENCE)
        for text in (before, after)
    )
    return old, new


def _commits(facts: Facts, pipeline: str, before: str) -> Sequence[CommitSubject]:
    """Return the commits of a pipeline that an earlier one did not have, the newest first."""
    new, old = facts.shas.get(pipeline), facts.shas.get(before)
    if new is None or old is None or new == old:
        return ()
    shas = [each.sha for each in facts.commits]
    start = shas.index(new) if new in shas else 0
    return facts.commits[start : shas.index(old) if old in shas else len(shas)]


def _suspect_commits(
    facts: Facts, causes: Sequence[FailureCause]
) -> dict[tuple[str, str, tuple[str, ...]], PipelineChange]:
    """Return the commits that change a file which a failure names, where it first failed."""
    found: dict[tuple[str, str, tuple[str, ...]], PipelineChange] = {}
    for at, cause in enumerate(causes):
        if cause.passed_in is None:
            continue
        first = cause.since or facts.summary.pipeline.id
        for commit in _commits(facts, first, cause.passed_in):
            names = tuple(name for name in commit.files if _names(cause, name))
            if names:
                key = ("commit", commit.sha, names)
                name = f"{commit.sha[:10]} {commit.subject}"
                known = found.get(key) or PipelineChange(kind="commit", name=name, names=names)
                more = {"suspect": True, "causes": (*known.causes, at)}
                found[key] = known.model_copy(update=more)
    return found


def _names(cause: FailureCause, file: str) -> bool:
    """Return whether the output or the command of a failure names a file."""
    lines = cause.excerpt.lines if cause.excerpt is not None else ()
    return file.rpartition("/")[2] in "\n".join((*lines, cause.error, cause.command))


def _is_suspect(change: ChangedField, cause: FailureCause) -> bool:
    """Return whether failures use a change: files must be named by their output."""
    return change.field != CODE or any(_names(cause, name) for name in change.names[:MAX_NAMES])


def _unchanged(facts: Facts, changes: Iterable[PipelineChange]) -> tuple[str, ...]:
    histories = [each for each in facts.histories.values() if each.passed_in]
    if not histories:
        return ()
    kinds = Counter(each.kind for each in changes)
    compared = ["command", "environment", "parameter", "image"]
    if all(each.comparable for each in histories):
        compared[2:2] = ["secrets", "base image", "code"]
    return tuple(kind for kind in compared if not kinds[kind])


def _next_steps(summary: PipelineSummary, causes: Sequence[FailureCause]) -> tuple[NextStep, ...]:
    id_ = summary.pipeline.id
    if not causes:
        tool = "wait" if summary.counts.running else "why_waiting"
        return () if summary.state is State.DONE else (NextStep(tool=tool, arguments={"id": id_}),)
    first = causes[0]
    path = first.paths[0]
    node: dict[str, str | float | bool] = {"id": id_, "path": path}
    steps = []
    if first.cause is Cause.IMAGE and first.image:
        steps.append(NextStep(tool="get_logs", arguments={"id": id_, "image": first.image}))
    elif first.cause is Cause.TIMEOUT:
        steps.append(
            NextStep(tool="modify", arguments={**node, "max_time": 2 * (first.limit or 60)})
        )
    elif first.cause is Cause.OUT_OF_MEMORY:
        steps.append(NextStep(tool="modify", arguments={**node, "mem": 2 * (first.limit or 1)}))
    else:
        steps.append(NextStep(tool="get_logs", arguments=node))
        if first.cause is Cause.EXIT_CODE:
            steps.append(NextStep(tool="exec_in_failure", arguments={**node, "command": "…"}))
    steps.append(NextStep(tool="rerun", arguments={"id": id_, "failed": True}))
    return tuple(steps)
