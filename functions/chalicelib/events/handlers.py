"""Takes the events of triggers: webhooks, and events of EventBridge.

An event is stored before it is confirmed; another function launches, and the schedule of each
minute those whose invocation was lost.
"""

import logging
from collections.abc import Callable, Mapping
from secrets import token_urlsafe

from chalicelib.dependencies import Dependencies
from chalicelib.errors import ConflictError
from conducto_core.api.operation import API_ROOT
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events.intake import EventIntake
from conducto_core.events.model import EventRule, NewHook
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

    def __init__(self, cloud: Dependencies, invoke: Callable[[tuple[str, str]], None]) -> None:
        self._cloud = cloud
        self._invoke = invoke

    def receive(self, hook: str, headers: Mapping[str, str], body: bytes) -> None:
        """Store the event of a webhook and start its processing; see `EventIntake.hook`."""
        org, _, name = hook.partition(SEPARATOR)
        trigger = self._cloud.schedules.get(org, name)
        if trigger is None or trigger.on is None:  # strangers cause no read of secrets
            raise NotFoundError(f"no webhook {hook!r}")
        secret = self._cloud.vault.read(_scope(org, name)).get(_KEY)
        if secret is None:
            raise SignatureError("the webhook has no secret; make one: conducto trigger secret")
        _intake(self._cloud).hook(org, name, str(secret["value"]), headers, body)
        try:
            self._invoke((org, name))
        except Exception:
            # The schedule launches it within a minute.
            logger.exception("an event waits for the schedule", extra={"trigger": name})


def _intake(cloud: Dependencies) -> EventIntake:
    return EventIntake(cloud.schedules, cloud.clock, cloud.deliveries.count)


def new_hook(cloud: Dependencies, org: str, name: str) -> NewHook:
    """Return the webhook of a trigger with a new secret."""
    secret = token_urlsafe(32)
    _replace(cloud, org, name, {_KEY: {"value": secret}})
    url = f"{cloud.url().rstrip('/')}{API_ROOT}/hooks/{org}{SEPARATOR}{name}"
    return NewHook(url=url, secret=secret)


def connect(cloud: Dependencies, org: str, name: str, rule: EventRule | None) -> None:
    """Subscribe a trigger to the events of a rule; None: end its subscription and its webhook."""
    if rule is None or rule.source != "webhook":
        _replace(cloud, org, name, {})


def _replace(
    cloud: Dependencies, org: str, name: str, secrets: Mapping[str, Mapping[str, str]]
) -> None:
    known, version = cloud.vault.read_version(_scope(org, name))
    if not known and not secrets:
        return
    try:
        cloud.vault.replace(_scope(org, name), secrets, version)
    except ConflictError as error:
        raise RefusedError(f"{name} is changed by another request; try again") from error
