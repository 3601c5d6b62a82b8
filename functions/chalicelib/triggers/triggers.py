"""Git triggers: their administration, and the receipt of webhooks.

A webhook is stored before it is confirmed, and processed by another function.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib.errors import ConflictError, Timing
from chalicelib.people.port import Identity, SecretVault
from chalicelib.people.suspension import Suspensions
from chalicelib.records import Records
from chalicelib.triggers.github_app import APP_HOOK
from chalicelib.triggers.tokens import TOKEN, GitPorts, app_of, trigger_scope, webhook_secret
from conducto.integrations.http import (
    DeliveryError,
    NotFoundDeliveryError,
    is_this_machine,
)
from conducto_core.api.dispatch import read_json
from conducto_core.api.operation import API_ROOT, Permission
from conducto_core.api.problems import ProblemError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.requests import Problem
from conducto_core.triggers import model as t
from conducto_core.triggers.rules.config import TriggerConfigError, section_of
from conducto_core.triggers.rules.git_api import EventError
from conducto_core.triggers.rules.launch import (
    of_repository,
    same_host,
)
from conducto_core.triggers.rules.providers import (
    GIT_APIS,
    check_bitbucket,
    check_generic,
    check_gitea,
    check_github,
    check_gitlab,
    events_of,
)

logger = logging.getLogger(__name__)


#: Maximum webhooks of one hook per minute.
MAX_WEBHOOKS = 300
#: Separates the organisation and the trigger in the path of a webhook; names do not contain it.
SEPARATOR = "~"
_SECRET = "secret"  # noqa: S105
#: The fields that decide where the token is sent.
_TARGET = ("provider", "repository", "api")


class Triggers:
    """The triggers of the caller's organisation."""

    def __init__(
        self,
        records: Records,
        git: GitPorts,
        vault: SecretVault,
        url: Callable[[], str],
        clock: Callable[[], float],
        *,
        caller: Identity,
    ) -> None:
        self._records = records
        self._git = git
        self._vault = vault
        self._url = url
        self._clock = clock
        self._me = caller

    def listing(self) -> t.TriggerList:
        """Return the triggers, by name."""
        org = self._me.org
        found = Suspensions(self._records, org).marked(self._records.triggers.list_by_name(org))
        return t.TriggerList(triggers=tuple(found))

    def put(self, name: str, request: t.TriggerRequest) -> t.NewTrigger:
        """Store a trigger with a new secret; the caller becomes its owner."""
        org = self._me.org
        known = self._records.triggers.get(org, name)
        if known is not None:
            self._check_mine(known)
        elif len(self._records.triggers.list_by_name(org)) >= t.MAX_TRIGGERS:
            raise RefusedError(f"there are {t.MAX_TRIGGERS} triggers already; delete one first")
        if request.command is not None:
            _check_command(request.command)
        _check_api(request.api)
        self._check_submodules(request)
        if request.app:
            return self._put_of_app(name, request)
        secret = token_urlsafe(32)
        token = request.token or self._kept_token(known, name, request)
        self._check_people(request)
        trigger = self._new_trigger(name, request, has_token=token is not None)
        trigger = self._with_people(trigger, request, token)
        self._store(name, secret, token)
        self._records.triggers.put(org, trigger)
        url = f"{self._url().rstrip('/')}{API_ROOT}/hooks/{org}{SEPARATOR}{name}"
        return t.NewTrigger(trigger=trigger, hook_url=url, secret=secret)

    def _put_of_app(self, name: str, request: t.TriggerRequest) -> t.NewTrigger:
        """Store a trigger whose webhooks and tokens are those of the GitHub App."""
        org = self._me.org
        if Permission.MANAGE_ORGANISATION not in self._me.permissions:
            # Its token reads every repository that the App is installed for.
            raise RefusedError("only administrators add triggers that use the GitHub App")
        app = app_of(self._records, org)
        if app is None:
            raise RefusedError(
                "the organisation has no GitHub App; create it: conducto trigger github-app create"
            )
        self._check_people(request)
        try:
            tokens = [
                self._git.tokens.of_app(org, url)
                for url in (request.repository, *request.submodules)
            ]
        except DeliveryError as error:
            raise RefusedError(str(error)) from error
        trigger = self._new_trigger(name, request).model_copy(update={"api": app.api})
        trigger = self._with_people(trigger, request, tokens[0])
        self._replace(name, {})
        self._records.triggers.put(org, trigger)
        return t.NewTrigger(trigger=trigger)

    def _new_trigger(
        self, name: str, request: t.TriggerRequest, *, has_token: bool = False
    ) -> t.Trigger:
        return t.Trigger(
            name=name,
            **request.model_dump(exclude={"token", "people"}),
            owner=self._me.user,
            created=self._clock(),
            has_token=has_token,
        )

    def delete(self, name: str) -> t.TriggerList:
        """Delete a trigger with its secrets."""
        self._check_mine(self.find(name))
        self._records.triggers.delete(self._me.org, name)
        self._replace(name, {})
        return self.listing()

    def deliveries(self, name: str) -> t.DeliveryList:
        """Return the last deliveries, the newest first."""
        self.find(name)
        found = self._records.deliveries.latest(self._me.org, name, t.MAX_DELIVERIES)
        return t.DeliveryList(deliveries=tuple(found))

    def approved(self, params: t.DeliveryParams) -> tuple[t.Trigger, t.Delivery]:
        """Return a pull request from a fork that waits for a member, approved by the caller."""
        trigger = self.find(params.name)
        found = self._records.deliveries.get(self._me.org, params.name, params.delivery)
        if found is None:
            raise NotFoundError(f"{params.name} has no delivery {params.delivery!r}")
        if found.result is not t.DeliveryResult.WAITING:
            raise RefusedError(f"{params.delivery}: does not wait for an approval: {found.result}")
        return trigger, found.model_copy(update={"approved_by": self._me.user})

    def find(self, name: str) -> t.Trigger:
        """Return a trigger; raises `NotFoundError`."""
        trigger: t.Trigger | None = self._records.triggers.get(self._me.org, name)
        if trigger is None:
            raise NotFoundError(f"there is no trigger {name!r}; see 'conducto trigger list'")
        return trigger

    def _check_submodules(self, request: t.TriggerRequest) -> None:
        if request.submodules and Permission.MANAGE_ORGANISATION not in self._me.permissions:
            # A commit of anybody who may push could name a private repository.
            raise RefusedError("only administrators list submodules that get the token")
        for url in request.submodules:
            if not same_host(url, request.repository):
                raise RefusedError(
                    f"submodules: {url} is not at the host of {request.repository}, which the "
                    "token is for"
                )

    def _check_people(self, request: t.TriggerRequest) -> None:
        """Check that no member acts as another by an account at GitHub that they chose.

        Approvals can name people, so not even an administrator may. The owner of a webhook without
        the App knows its secret, and could send the comments of others.
        """
        others = set(request.people.values()) - {self._me.user}
        if not others:
            return
        names = ", ".join(sorted(others))
        if not request.app:
            raise RefusedError(
                f"person: {names} can only act through the GitHub App, whose webhooks nobody can "
                "forge; add the trigger with --app"
            )
        if Permission.MANAGE_BILLING not in self._me.permissions:
            raise RefusedError(
                f"person: only owners name the accounts of others at GitHub ({names}), who can "
                "decide approvals with them"
            )

    def _with_people(
        self, trigger: t.Trigger, request: t.TriggerRequest, token: str | None
    ) -> t.Trigger:
        """Return a trigger with the numbers of its people."""
        org, found = self._me.org, []
        for login, user in request.people.items():
            if self._records.people.members(org) and self._records.people.member(org, user) is None:
                raise RefusedError(f"person: {user} is not a member; see 'conducto members list'")
            try:
                number = self._git.provider.person_id(trigger, token, login)
            except NotFoundDeliveryError:
                raise RefusedError(
                    f"person: there is no {login} at {GIT_APIS[trigger.provider].name}"
                ) from None
            except DeliveryError as error:
                raise RefusedError(f"person: {login} cannot be looked up: {error}") from error
            found.append(t.TriggerPerson(login=login, id=number, user=user))
        return trigger.model_copy(update={"people": tuple(found)})

    def _check_mine(self, trigger: t.Trigger) -> None:
        manages = Permission.MANAGE_ORGANISATION in self._me.permissions
        if trigger.owner != self._me.user and not manages:
            raise RefusedError(
                f"{trigger.name} belongs to {trigger.owner}; only administrators change triggers "
                "of others"
            )

    def _kept_token(
        self, known: t.Trigger | None, name: str, request: t.TriggerRequest
    ) -> str | None:
        """Return the stored token, which may only be sent to the host that it was given for."""
        token = self._git.tokens.stored(self._me.org, name)
        if known is None or token is None:
            return None
        same = all(getattr(known, key) == getattr(request, key) for key in _TARGET)
        if not same or known.owner != self._me.user:
            raise RefusedError(
                f"{name}: give the token again, because the provider, the repository, the API or "
                "the owner changes; or delete the trigger first"
            )
        return token

    def _store(self, name: str, secret: str, token: str | None) -> None:
        values = {_SECRET: secret} if token is None else {_SECRET: secret, TOKEN: token}
        self._replace(name, {key: {"value": value} for key, value in values.items()})

    def _replace(self, name: str, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        scope = trigger_scope(self._me.org, name)
        known, version = self._vault.read_version(scope)
        if not known and not secrets:
            return
        try:
            self._vault.replace(scope, secrets, version)
        except ConflictError as error:
            raise RefusedError(f"{name} is changed by another request; try again") from error


class TriggerHooks:
    """Receives the webhooks of triggers.

    Args:
        invoke: Starts the function that processes a delivery, by its place.
    """

    def __init__(
        self,
        records: Records,
        timing: Timing,
        vault: SecretVault,
        invoke: Callable[[tuple[str, str, str]], None],
    ) -> None:
        self._records = records
        self._timing = timing
        self._vault = vault
        self._invoke = invoke

    def receive(self, hook: str, headers: Mapping[str, str], body: bytes) -> None:
        """Verify a webhook, store its events and start their processing.

        Raises:
            NotFoundError: There is no such trigger.
            SignatureError: The webhook is forged, or too old.
        """
        org, _, name = hook.partition(SEPARATOR)
        if name == APP_HOOK:
            self._receive_of_app(org, headers, body)
            return
        trigger = self._records.triggers.get(org, name)
        if trigger is None:  # strangers cause no read of secrets
            raise NotFoundError(f"no webhook {hook!r}")
        secret = self._vault.read(trigger_scope(org, name)).get(_SECRET)
        if secret is None:
            raise NotFoundError(f"no webhook {hook!r}")
        now = self._timing.clock()
        identity = _verified(trigger, str(secret["value"]), headers, body, now)
        self._check_rate(org, name)
        for number, event in enumerate(_events(trigger.provider, name, headers, body)):
            self._record_delivery(org, name, f"{identity}.{number}", event, now)

    def _receive_of_app(self, org: str, headers: Mapping[str, str], body: bytes) -> None:
        """Receive a webhook of the GitHub App for the triggers of its repository."""
        if app_of(self._records, org) is None:
            raise NotFoundError(f"no webhook of a GitHub App of {org!r}")
        secret = webhook_secret(self._vault, org)
        if secret is None:
            raise NotFoundError(f"no webhook of a GitHub App of {org!r}")
        identity = check_github(secret, headers, body)
        events = _events("github", APP_HOOK, headers, body)
        if not events:
            return
        self._check_rate(org, APP_HOOK)
        now = self._timing.clock()
        for trigger in self._records.triggers.list_by_name(org):
            for number, event in enumerate(events):
                if trigger.app and of_repository(event, trigger.repository):
                    self._record_delivery(org, trigger.name, f"{identity}.{number}", event, now)

    def _check_rate(self, org: str, hook: str) -> None:
        """Reject a webhook above the rate of one hook, so that it cannot use up that of others.

        Only webhooks with a valid signature count: strangers cannot exhaust the rate.
        """
        if self._records.deliveries.count(org, hook) > MAX_WEBHOOKS:
            raise ProblemError(
                Problem(
                    title="too many webhooks",
                    status=429,
                    detail=f"this webhook was sent more than {MAX_WEBHOOKS} times in a minute",
                    remedy="send it again in the next minute",
                )
            )

    def _record_delivery(
        self, org: str, name: str, identity: str, event: t.GitEvent, now: float
    ) -> None:
        delivery = t.Delivery(
            id=f"{int(now * 1000):014d}-{token_urlsafe(6)}", time=now, event=event
        )
        add = partial(self._records.deliveries.add, org, name, delivery, identity)
        if not self._timing.retry(add):
            return  # a replay
        try:
            self._invoke((org, name, delivery.id))
        except Exception:
            # The schedule processes it within a minute.
            logger.exception("a delivery waits for the schedule", extra={"trigger": name})


def _check_command(command: str) -> None:
    try:
        section_of(command)
    except TriggerConfigError as error:
        raise RefusedError(str(error).partition(": ")[2]) from error


def _check_api(api: str | None) -> None:
    parts = urlsplit(api or "")
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        raise RefusedError(f"api: {api} would get the token without encryption; use https://")


def _verified(
    trigger: t.Trigger, secret: str, headers: Mapping[str, str], body: bytes, now: float
) -> str:
    match trigger.provider:
        case "github":
            return check_github(secret, headers, body)
        case "gitlab":
            return check_gitlab(secret, headers)
        case "bitbucket":
            return check_bitbucket(secret, headers, body)
        case "gitea":
            return check_gitea(secret, headers, body)
        case "generic":
            return check_generic(secret, headers, body, now)


def _events(
    provider: t.Provider, name: str, headers: Mapping[str, str], body: bytes
) -> list[t.GitEvent]:
    try:
        return events_of(provider, headers, _document(headers, body))
    except (EventError, ValueError):
        # A sender may disable a webhook after an error; the body may contain secrets.
        logger.warning("a webhook is malformed", extra={"trigger": name})
        return []


def _document(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        body = parse_qs(body.decode(errors="replace"))["payload"][0].encode()
    found = read_json(body)
    if not isinstance(found, dict):
        raise EventError("the body is not a JSON object")
    return found
