"""The reason why a command ran: the inputs that differ from those of an earlier attempt."""

from collections.abc import Sequence

from conducto_core.programs.history import MAX_NAMES, ChangedField, Why
from conducto_core.programs.rules.fingerprints import (
    BASE,
    CODE,
    FIELDS,
    NO_DIGEST,
    RESULTS,
    FieldChange,
    changed_names,
    changed_results,
    code_of,
    differences,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import FAILED, State

#: A pipeline and an attempt in it.
Candidate = tuple[str, AttemptRecord]


def nearest_attempt(newest: AttemptRecord, candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the attempt with the fewest fields that differ, and of these the newest.

    Attempts that passed are preferred.

    Args:
        newest: The attempt to explain.
        candidates: Earlier ones, the newest first.
    """
    passed = [each for each in candidates if each[1].state is State.DONE]
    return min(passed or candidates, key=lambda each: _distance(newest, each[1]), default=None)


def _distance(newest: AttemptRecord, other: AttemptRecord) -> int:
    if newest.fingerprint is None or other.fingerprint is None:
        return len(FIELDS)
    return len(changes_of(other, newest))


def changes_of(before: AttemptRecord, now: AttemptRecord) -> list[FieldChange]:
    """Return the fields in which the inputs of two attempts differ; both have fingerprints."""
    if before.fingerprint is None or now.fingerprint is None:
        return []
    found = [
        each._replace(names=tuple(changed_names(before.env, now.env)))
        if each.field == "environment"
        else each
        for each in differences(before.fingerprint, now.fingerprint)
    ]
    results = changed_results(before.fingerprint, now.fingerprint)
    return [*found, FieldChange(RESULTS, tuple(results))] if results else found


def are_comparable(before: AttemptRecord, now: AttemptRecord) -> bool:
    """Return whether the inputs of both attempts are known, also those that are digests."""
    return before.fingerprint is not None and now.fingerprint is not None


def recorded_changes(before: AttemptRecord, now: AttemptRecord) -> list[FieldChange]:
    """Return the differences of two attempts; without fingerprints, those of their records."""
    if are_comparable(before, now):
        return changes_of(before, now)
    found = [] if before.command == now.command else [FieldChange(FIELDS[0], ())]
    names = tuple(changed_names(before.env, now.env))
    return [*found, FieldChange(FIELDS[1], names)] if names else found


def why_of(
    path: str, newest: AttemptRecord, other: Candidate | None, *, same_pipeline: bool
) -> Why:
    """Return why an attempt ran, without names of files.

    Args:
        path: The node.
        newest: The attempt.
        other: The attempt that it is compared with.
        same_pipeline: That is an attempt of the same pipeline.
    """
    if other is None:
        return Why(path=path, attempt=newest.number, reason="no earlier attempt of this node")
    pipeline, before = other
    where = f"attempt {before.number}" if same_pipeline else f"{pipeline} attempt {before.number}"
    known = before.fingerprint is not None and newest.fingerprint is not None
    changed = changes_of(before, newest)
    if not known:
        reason = f"cannot be compared with {where}: {NO_DIGEST}"
    elif changed:
        reason = f"differs from {where}"
    elif newest.cache is not None:
        reason = f"equals {where} in the fields below; the cache says why it ran"
    else:
        reason = f"has the same inputs as {where}, {_again(before, same_pipeline=same_pipeline)}"
    return Why(
        path=path,
        attempt=newest.number,
        reason=reason,
        pipeline=pipeline,
        other=before.number,
        ended=before.ended,
        changed=tuple(changed_field(each.field, each.names) for each in changed),
        equal=_equal(before, newest, {each.field for each in changed}) if known else (),
    )


def from_cache(path: str, attempt: AttemptRecord) -> Why:
    """Return why an attempt did not run."""
    source = attempt.from_cache
    if source is None:
        raise ValueError(f"{path}: attempt {attempt.number} is not from the cache")
    return Why(
        path=path,
        attempt=attempt.number,
        reason=f"did not run: it is from the cache, from {source.text}, whose inputs are the same",
        pipeline=source.pipeline,
        other=source.attempt,
    )


def not_started(node: NodeView) -> str:
    """Return why no attempt of a command has started."""
    newest = node.attempts[-1] if node.attempts else None
    if newest is not None and newest.state is State.DONE and newest.exit_code == 0:
        return "ran no command: the map was expanded in its place"
    message = None if newest is None else newest.message
    return f"has not run: {node.waits_for or message or node.state.value}"


def _again(before: AttemptRecord, *, same_pipeline: bool) -> str:
    if before.state in FAILED:
        return "which failed"
    return "which was reset or retried" if same_pipeline else "but a new pipeline runs all commands"


def changed_field(field: str, names: Sequence[str]) -> ChangedField:
    """Return a field with the first of the names that differ in it."""
    return ChangedField(field=field, names=tuple(names[:MAX_NAMES]), count=len(names))


def _equal(before: AttemptRecord, newest: AttemptRecord, changed: set[str]) -> tuple[str, ...]:
    codes = [code_of(each.fingerprint or "") for each in (before, newest)]
    image = (FIELDS[3],) if None in codes else (BASE, CODE)
    fields = (*FIELDS[:3], *image, *FIELDS[4:])
    return tuple(each for each in fields if each not in changed)
