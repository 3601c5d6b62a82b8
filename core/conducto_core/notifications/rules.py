"""Rules about pipelines: which apply to a pipeline, and which event a change of its root is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from conducto_core.notifications.model import (
    ALERTS,
    NotificationEvent,
    NotificationRecord,
    NotificationRule,
)
from conducto_core.programs.rules.comparison import percentile
from conducto_core.programs.rules.programs import program_key
from conducto_core.run.model import events as ev
from conducto_core.run.model.labels import duration, in_dollars
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


#: Seconds after which ``waiting`` is reported, if a rule does not say.
WAITING_SECONDS = 600.0
#: A pipeline takes long above this multiple of the 95th percentile of earlier ones, of which there
#: must be this number.
LONG_FACTOR, LEAST_RUNS = 1.5, 5
#: Argument of the callback of an alert: its event.
_ALERT = "alert"


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """The facts about a running pipeline from which alerts follow.

    Attributes:
        now: In seconds since the epoch.
        since: When its current active period began; None: nothing has run in it.
        dollars: Its cost so far.
        waiting: Path of the command that has waited longest, since when, and for which reason;
            None: none waits.
        earlier: Seconds of earlier pipelines of its program that succeeded; None: not read.
    """

    now: float
    since: float | None = None
    dollars: float = 0.0
    waiting: tuple[str, float, str] | None = None
    earlier: Sequence[float] | None = None


class Alert(NamedTuple):
    """An alert of a rule, in an active period of a pipeline."""

    rule: str
    event: NotificationEvent
    message: str
    key: str


def alerting(rules: Iterable[NotificationRule], record: PipelineRecord) -> list[NotificationRule]:
    """Return the rules with alerts that apply to a pipeline."""
    names = set(record.notification_rules)
    return [rule for rule in rules if rule.name in names and ALERTS & set(rule.on)]


def alerts_due(
    record: PipelineRecord, rules: Iterable[NotificationRule], facts: AlertFacts
) -> list[Alert]:
    """Return the alerts of a pipeline that are not reported yet in its active period."""
    found = []
    for rule in rules:
        for event in rule.on:
            key = f"{rule.name} {event.value}{_period(facts)}"
            message = _alert(rule, event, facts)
            if message is not None and key not in record.alerts:
                found.append(Alert(rule.name, event, message, key))
    return found


def _period(facts: AlertFacts) -> str:
    """Return the end of the keys of alerts of an active period."""
    return f" {facts.since or 0.0:.0f}"


def _alert(rule: NotificationRule, event: NotificationEvent, facts: AlertFacts) -> str | None:
    """Return the sentence of an alert, or None if there is no reason for it."""
    ran = 0.0 if facts.since is None else facts.now - facts.since
    match event:
        case NotificationEvent.LATE if rule.minutes and ran >= 60 * rule.minutes:
            return f"it should have ended after {duration(60 * rule.minutes)}"
        case NotificationEvent.EXPENSIVE if rule.dollars and facts.dollars >= rule.dollars:
            return (
                f"it has cost {in_dollars(facts.dollars)}, the limit is {in_dollars(rule.dollars)}"
            )
        case NotificationEvent.WAITING if facts.waiting is not None:
            path, began, reason = facts.waiting
            limit = WAITING_SECONDS if rule.minutes is None else 60 * rule.minutes
            waited = facts.now - began
            return (
                f"{path} has waited for {duration(waited)}: {reason}" if waited >= limit else None
            )
        case NotificationEvent.LONG if facts.earlier and len(facts.earlier) >= LEAST_RUNS:
            usual = percentile(facts.earlier, 0.95)
            if ran <= LONG_FACTOR * usual:
                return None
            within = f"95 % of earlier ones ended within {duration(usual)}"
            return f"it has run for {duration(ran)}; {within}"
    return None


def alert_command(alert: Alert) -> ev.Notify:
    """Return the notification that an alert requests."""
    about = {"rule": alert.rule, _ALERT: alert.event.value, "message": alert.message}
    return ev.Notify(_ROOT, State.RUNNING, Callback(State.RUNNING.value, RULE_CALLBACK, about))


def with_alerts(record: PipelineRecord, alerts: Sequence[Alert]) -> tuple[str, ...]:
    """Return `PipelineRecord.alerts` with new ones, without those of earlier active periods."""
    periods = {each.key.rpartition(" ")[2] for each in alerts}
    kept = (key for key in record.alerts if key.rpartition(" ")[2] in periods)
    return (*kept, *(each.key for each in alerts))


def durations_of(records: Iterable[PipelineRecord], record: PipelineRecord) -> list[float]:
    """Return the seconds of earlier pipelines of a program that succeeded."""
    key = program_key(record)
    return [
        other.status.active_seconds
        for other in records
        if other.id != record.id
        and other.status.settled
        and other.status.state is State.DONE
        and other.status.active_seconds is not None
        and program_key(other) == key
    ]


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
    alert = notification.arguments.get(_ALERT)
    if alert is not None:
        return NotificationEvent(alert)
    earlier = [each for each in earlier if _ALERT not in each.arguments]
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
