"""Rules about pipelines: which apply to a pipeline, and which event a change of its root is."""

import re
from collections.abc import Iterable, Mapping, Sequence

from conducto_core.notifications.model import (
    NotificationEvent,
    NotificationRecord,
    NotificationRule,
)
from conducto_core.programs.rules.programs import program_key
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.states import FAILED, FINISHED, State
from conducto_core.run.rules.tree_state import Change
from conducto_core.schedules.model import SCHEDULE_TAG
from conducto_core.tree.model import Callback
from conducto_core.triggers.rules.providers import GIT_APIS

#: The callback of a notification that a rule requested; its argument ``rule`` is the rule's name.
RULE_CALLBACK = "notification_rule"
#: The callback that sets the status of the commit that a trigger launched a pipeline for.
COMMIT_STATUS = "commit_status"
#: Name of the status or check of that commit.
STATUS_CONTEXT = "conducto pipeline"
#: Providers whose commits have a status.
STATUS_PROVIDERS = frozenset(GIT_APIS)
_ROOT = "/"
_REPORTED = frozenset({State.RUNNING, *FINISHED})
_GENERAL = {
    NotificationEvent.FAILED_AGAIN: NotificationEvent.FAILURE,
    NotificationEvent.FIXED: NotificationEvent.SUCCESS,
}


def names_for(
    rules: Iterable[NotificationRule], title: str, tags: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the names of the rules that apply to a pipeline when it is launched."""
    schedule = next(
        (tag.removeprefix(SCHEDULE_TAG) for tag in tags if tag.startswith(SCHEDULE_TAG)), None
    )
    return tuple(
        rule.name
        for rule in rules
        if _matches(rule.title, title) and _matches(rule.schedule, schedule)
    )


def approval_commands(record: PipelineRecord, path: str, message: str) -> list[ev.Notify]:
    """Return the notifications of rules and a trigger when a node waits for an approval."""
    return [
        ev.Notify(path, State.QUEUED, Callback(State.QUEUED.value, name, arguments))
        for name, arguments in _callbacks(record, {"message": message})
    ]


def commands_for(record: PipelineRecord, changes: Sequence[Change]) -> list[ev.Notify]:
    """Return the notifications that rules and a trigger request for the changes of one event."""
    wanted = _callbacks(record, {"node_summary": True})
    states = [change.state for change in changes if change.path == _ROOT] if wanted else []
    if not states or states[-1] not in _REPORTED:
        return []
    state = states[-1]
    return [
        ev.Notify(_ROOT, state, Callback(state.value, name, arguments))
        for name, arguments in wanted
    ]


def _callbacks(
    record: PipelineRecord, of_rules: Mapping[str, object]
) -> list[tuple[str, dict[str, object]]]:
    found: list[tuple[str, dict[str, object]]] = [
        (RULE_CALLBACK, {"rule": name, **of_rules}) for name in record.notification_rules
    ]
    if record.git is not None and record.git.provider in STATUS_PROVIDERS:
        found.append((COMMIT_STATUS, {}))
    return found


def event_of(
    notification: NotificationRecord, earlier: Sequence[NotificationRecord], previous: State | None
) -> NotificationEvent | None:
    """Return the event that a notification of a rule reports, or None for a repeated state.

    Args:
        notification: The notification.
        earlier: The notifications of the same rule about the same node before it, in order.
        previous: The result of the last pipeline of the program; None if there was none.
    """
    state = notification.state
    if state is State.QUEUED:
        return NotificationEvent.APPROVAL
    if earlier and earlier[-1].state is state:
        return None
    if state is State.RUNNING:
        return NotificationEvent.START
    results = [each.state for each in earlier if each.state in FINISHED]
    failed_before = (results[-1] if results else previous) in FAILED
    if state in FAILED:
        return NotificationEvent.FAILED_AGAIN if failed_before else NotificationEvent.FAILURE
    return NotificationEvent.FIXED if failed_before else NotificationEvent.SUCCESS


def wants(rule: NotificationRule, event: NotificationEvent) -> bool:
    """Return whether a rule reports an event."""
    return event in rule.on or _GENERAL.get(event) in rule.on


def previous_result(records: Iterable[PipelineRecord], record: PipelineRecord) -> State | None:
    """Return the result of the last pipeline of a program that was launched before a pipeline."""
    key = program_key(record)
    results = [
        (other.created, other.status.state)
        for other in records
        if other.created < record.created
        and other.status.settled
        and other.status.state in FINISHED
        and program_key(other) == key
    ]
    return max(results)[1] if results else None


def _matches(pattern: str | None, text: str | None) -> bool:
    if pattern is None or text is None:
        return pattern is None
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
