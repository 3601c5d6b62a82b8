"""Takes the events of triggers: webhooks, and events of EventBridge.

An event is stored before it is confirmed; another function launches, and the schedule of each
minute those whose invocation was lost.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from secrets import token_urlsafe
from typing import Any

from chalicelib.errors import ConflictError
from chalicelib.events.port import CloudSchedules, EventPorts, EventRules
from chalicelib.events.queues import connect_queue
from chalicelib.people.port import SecretVault
from chalicelib.records import Records
from conducto_core.api.operation import API_ROOT, Permission
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events.intake import EventIntake
from conducto_core.events.model import ACCOUNT_SOURCES, EventRule, NewHook
from conducto_core.events.rules.patterns import matches
from conducto_core.events.rules.payloads import bus_event, pattern_of
from conducto_core.triggers.rules.providers import SignatureError

logger = logging.getLogger(__name__)

#: Separates the organisation and the trigger in the path of a webhook; `hooks/ORG~NAME` is that of
#: a git trigger.
SEPARATOR = "~event~"
_KEY = "secret"


def _scope(org: str, name: str) -> str:
    return f"hook/{org}/{name}"


class EventHooks:
    """Receives the webhooks of triggers.

    Args:
        invoke: Starts the function that launches, with organisation and trigger.
    """

    def __init__(
        self,
        records: Records,
        vault: SecretVault,
        schedules: CloudSchedules,
        clock: Callable[[], float],
        invoke: Callable[[tuple[str, str]], None],
    ) -> None:
        self._records = records
        self._vault = vault
        self._schedules = schedules
        self._clock = clock
        self._invoke = invoke

    def receive(self, hook: str, headers: Mapping[str, str], body: bytes) -> None:
        """Store the event of a webhook and start its processing; see `EventIntake.hook`."""
        org, _, name = hook.partition(SEPARATOR)
        trigger = self._schedules.get(org, name)
        if trigger is None or trigger.on is None:  # strangers cause no read of secrets
            raise NotFoundError(f"no webhook {hook!r}")
        secret = self._vault.read(_scope(org, name)).get(_KEY)
        if secret is None:
            raise SignatureError("the webhook has no secret; make one: conducto trigger secret")
        _intake(self._records, self._schedules, self._clock).hook(
            org, name, str(secret["value"]), headers, body
        )
        try:
            self._invoke((org, name))
        except Exception:
            # The schedule launches it within a minute.
            logger.exception("an event waits for the schedule", extra={"trigger": name})


def take_bus_event(
    records: Records,
    schedules: CloudSchedules,
    clock: Callable[[], float],
    org: str,
    name: str,
    *,
    event: Mapping[str, Any],
) -> tuple[str, str] | None:
    """Store an event of EventBridge; return the trigger that it fires, if any.

    A rule outlives its trigger if its deletion was interrupted.
    """
    trigger = schedules.get(org, name)
    pattern = None if trigger is None or trigger.on is None else pattern_of(trigger.on)
    if pattern is None or not matches(pattern, event):
        logger.warning("an event has no trigger", extra={"org": org, "trigger": name})
        return None
    _intake(records, schedules, clock).add(org, name, bus_event(event))
    return org, name


def check_source(
    event_rules: EventRules | None, rule: EventRule, permissions: Collection[str]
) -> None:
    """Check that a member may create a trigger with a rule.

    Raises:
        RefusedError: Its events are those of the AWS account, which the member may not receive.
    """
    if rule.source not in ACCOUNT_SOURCES:
        return
    if event_rules is None:
        raise RefusedError(
            f"triggers by {rule.source} are off in this installation; deploy with -c events=true"
        )
    if Permission.MANAGE_ORGANISATION not in permissions:
        raise RefusedError("only administrators add triggers by events of the AWS account")


def _intake(records: Records, schedules: CloudSchedules, clock: Callable[[], float]) -> EventIntake:
    return EventIntake(schedules, clock, records.deliveries.count)


def new_hook(vault: SecretVault, url: Callable[[], str], org: str, name: str) -> NewHook:
    """Return the webhook of a trigger with a new secret."""
    secret = token_urlsafe(32)
    _replace(vault, org, name, {_KEY: {"value": secret}})
    address = f"{url().rstrip('/')}{API_ROOT}/hooks/{org}{SEPARATOR}{name}"
    return NewHook(url=address, secret=secret)


def connect(
    events: EventPorts,
    vault: SecretVault,
    org: str,
    name: str,
    rule: EventRule | None,
    *,
    former: EventRule | None = None,
) -> None:
    """Subscribe a trigger to the events of a rule, instead of those of its former one.

    None ends its subscription and its webhook.
    """
    if rule is None or rule.source != "webhook":
        _replace(vault, org, name, {})
    if events.rules is None:
        return
    connect_queue(events, org, name, rule, former)
    pattern = None if rule is None else pattern_of(rule)
    if pattern is None:
        events.rules.delete(org, name)
    else:
        events.rules.put(org, name, pattern)


def _replace(
    vault: SecretVault, org: str, name: str, secrets: Mapping[str, Mapping[str, str]]
) -> None:
    known, version = vault.read_version(_scope(org, name))
    if not known and not secrets:
        return
    try:
        vault.replace(_scope(org, name), secrets, version)
    except ConflictError as error:
        raise RefusedError(f"{name} is changed by another request; try again") from error
