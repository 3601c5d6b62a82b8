"""The launches of git triggers.

A launch has the idempotency key of the delivery, so that processing it again launches nothing
twice.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache

from chalicelib.api.callers import current_user
from chalicelib.people.port import Identity
from chalicelib.people.suspension import why_suspended
from chalicelib.records import Records
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.launch_queue import turn_of
from chalicelib.run.store import all_records
from chalicelib.triggers import people
from chalicelib.triggers.store import TableDeliveries
from chalicelib.triggers.tokens import GitPorts
from conducto.errors import DefinitionError
from conducto.integrations.http import DeliveryError, NotFoundDeliveryError
from conducto_core.api.operation import Permission
from conducto_core.billing.rules import queue_reason
from conducto_core.budgets.rules import with_default
from conducto_core.errors import NotFoundError, PlanFullError, RefusedError
from conducto_core.installation.names import FUNCTION_SECONDS
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.secrets.rules import with_set
from conducto_core.triggers import model as t
from conducto_core.triggers.model import DeliveryResult as Result
from conducto_core.triggers.rules.config import (
    MAX_BYTES,
    Duplicate,
    Section,
    TriggerConfigError,
    parse_config,
    section_of,
    sections_for,
)
from conducto_core.triggers.rules.launch import (
    clone_of,
    is_same_subject,
    launch_of,
    of_repository,
    origin_of,
    repository_of,
    rivals,
    script_of,
)

logger = logging.getLogger(__name__)

#: Seconds for which a run starts to process deliveries.
RUN_SECONDS = 45.0
#: Seconds for which the function that received an invocation may still process a delivery.
_YOUNG = float(FUNCTION_SECONDS["hook_event"])
#: Seconds after which a deferred or lost delivery is given up, whatever the reason is.
_GIVE_UP = 6 * 3600.0
_Place = tuple[str, str, str]
_ENDINGS = {
    Duplicate.SLEEP_OLD: ControlRequest(action=Action.SLEEP),
    Duplicate.CANCEL_OLD: people.KILL_ALL,
}
_SUPERSEDED = "there is a newer event of the same branch or pull request"
#: Maximum number of deliveries among which older and newer ones are found.
_MAX_COMPARED = 300
#: Characters of the name of a commit; Bitbucket sends less.
_FULL_SHA = 40
_OF_PEOPLE = frozenset({t.GitEventKind.COMMENT, t.GitEventKind.CHECK})


class TriggerRun:
    """Processes the deliveries of triggers."""

    def __init__(
        self,
        records: Records,
        git: GitPorts,
        web_app: Callable[[], str],
        clock: Callable[[], float],
        pipelines: Callable[[Identity], CloudPipelines],
    ) -> None:
        self._records, self._git = records, git
        self._web_app, self._clock = web_app, clock
        self._pipelines = pipelines

    @property
    def _deliveries(self) -> TableDeliveries:
        return self._records.deliveries

    def run(self, seconds: float = RUN_SECONDS) -> None:
        """Process the deliveries that are open: deferred ones, and those of lost invocations."""
        until = self._clock() + seconds
        for place in in_turn(self._deliveries.open()):
            if self._clock() >= until:
                return
            try:
                self._retry(*place)
            except Exception:
                # One failure must not affect the others; the next run retries.
                logger.exception("a delivery was not processed", extra={"trigger": place[1]})

    def process(self, org: str, name: str, delivery_id: str) -> None:
        """Process a delivery, unless it is processed already."""
        delivery = self._open(org, name, delivery_id)
        if delivery is not None:
            self._process(org, name, delivery)

    def _open(self, org: str, name: str, delivery_id: str) -> t.Delivery | None:
        delivery = self._deliveries.get(org, name, delivery_id)
        open_ = delivery is not None and delivery.result in t.OPEN_RESULTS
        return delivery if open_ else None

    def _retry(self, org: str, name: str, delivery_id: str) -> None:
        delivery = self._open(org, name, delivery_id)
        if delivery is None:
            return
        age, queued = self._clock() - delivery.time, delivery.result is Result.QUEUED
        if age < _YOUNG and not queued:
            return
        if (
            age >= _GIVE_UP and not queued
        ):  # without an attempt, because an attempt may end the function
            result = Result.SKIPPED if delivery.result is Result.DEFERRED else Result.FAILED
            why = f"given up after six hours: {delivery.reason or 'it was not processed'}"
            self._end(org, name, delivery, result, why)
            return
        try:
            self._process(org, name, delivery)
        except Exception as error:
            known = isinstance(error, DeliveryError)
            why = str(error) if known else "an unexpected error, which is in the log"
            self._end(org, name, delivery, delivery.result, why)
            raise

    def _process(self, org: str, name: str, delivery: t.Delivery) -> None:
        trigger: t.Trigger | None = self._records.triggers.get(org, name)
        if trigger is None:
            self._end(org, name, delivery, Result.SKIPPED, "the trigger was deleted")
        elif delivery.event.kind in _OF_PEOPLE and not delivery.event.sha:
            self._read_request(org, trigger, delivery)
        elif delivery.event.kind in _OF_PEOPLE and not _is_run(delivery.event):
            self._act(org, trigger, delivery)
        elif delivery.event.fork and trigger.forks == "ignore":
            why = "pull requests from forks are ignored; allow them with --forks approve"
            self._end(org, name, delivery, Result.SKIPPED, why)
        elif delivery.event.fork and (foreign := _foreign(trigger, delivery.event)) is not None:
            self._end(org, name, delivery, Result.SKIPPED, foreign)
        elif delivery.event.fork and delivery.approved_by is None:
            self._end(org, name, delivery, Result.WAITING, "it is from a fork")
        else:
            self.launch(org, trigger, delivery)

    def _read_request(self, org: str, trigger: t.Trigger, delivery: t.Delivery) -> None:
        """Process a comment at the newest commit of its pull request."""

        def read() -> t.GitEvent:
            token = self._git.tokens.of_trigger(org, trigger)
            return self._git.provider.pull_request(trigger, token, delivery.event)

        try:
            member = people.member_of(self._records, org, trigger, delivery.event)
            if _is_run(delivery.event):
                people.check_permission(member, Permission.LAUNCH, "launch pipelines")
            event = self._git.tokens.renewing(org, trigger, read)
        except (RefusedError, DeliveryError) as error:
            if isinstance(error, DeliveryError) and error.temporary:
                raise
            self._end(org, trigger.name, delivery, Result.SKIPPED, str(error))
        else:
            self._process(org, trigger.name, delivery.model_copy(update={"event": event}))

    def _act(self, org: str, trigger: t.Trigger, delivery: t.Delivery) -> None:
        """Do what a comment or a button of a check requests."""
        event = delivery.event
        try:
            member = people.member_of(self._records, org, trigger, event)
            record = people.pipeline_of(self._records, org, trigger, event)
            done = people.act(self._pipelines(member), member, record, event)
        except (RefusedError, NotFoundError) as error:
            self._end(org, trigger.name, delivery, Result.SKIPPED, str(error))
        else:
            acted = delivery.model_copy(update={"pipeline": record.id})
            self._end(org, trigger.name, acted, Result.ACTED, done)

    def trial(self, org: str, trigger: t.Trigger, branch: str) -> t.TrialResult:
        """Return the section and command that a push to a branch would launch now."""
        tried = t.TrialResult(branch=branch)
        name = repository_of(trigger.repository)
        event = t.GitEvent(
            kind=t.GitEventKind.PUSH, url=trigger.repository, repository=name, branch=branch
        )

        def commit() -> str:
            return self._git.provider.commit(
                trigger, self._git.tokens.of_trigger(org, trigger), branch
            )

        try:
            if trigger.provider != "generic":
                sha = self._git.tokens.renewing(org, trigger, commit)
                event = event.model_copy(update={"sha": sha})
            token = self._git.tokens.of_trigger(org, trigger)
            tried = tried.model_copy(update={"sha": event.sha})
            return tried.model_copy(update=self._trial_of(trigger, token, event))
        except NotFoundDeliveryError:
            why = f"there is no branch {branch!r} in {name}, or the token may not read it"
            return tried.model_copy(update={"reason": why})
        except (DeliveryError, TriggerConfigError) as error:
            return tried.model_copy(update={"reason": str(error)})

    def _trial_of(
        self, trigger: t.Trigger, token: str | None, event: t.GitEvent
    ) -> dict[str, str | None]:
        section, why = self._section(trigger, token, event)
        if section is None:
            return {"reason": why}
        return {"section": section.name, "command": section.command_for(event)}

    def launch(self, org: str, trigger: t.Trigger, delivery: t.Delivery) -> t.Delivery:
        """Launch what a delivery is configured to launch, and store the result."""
        if delivery.turn is None:  # an approval may come days after the event
            since = self._clock() if delivery.approved_by else delivery.time
            delivery = delivery.model_copy(update={"turn": since})
        try:
            return self._git.tokens.renewing(
                org, trigger, lambda: self._launch(org, trigger, delivery)
            )
        except DeliveryError as error:
            if error.temporary:
                raise
            why = str(error)
        except PlanFullError as error:
            return self._queue(org, trigger, delivery, str(error))
        except (TriggerConfigError, RefusedError, DefinitionError) as error:
            why = str(error)
            self._report(org, trigger, delivery, why)
        return self._end(org, trigger.name, delivery, Result.FAILED, why)

    def _queue(self, org: str, trigger: t.Trigger, delivery: t.Delivery, reason: str) -> t.Delivery:
        """Let a delivery wait for room in the plan, or give it up."""
        until = (delivery.turn or delivery.time) + trigger.window
        why, over = queue_reason(reason, until, self._clock())
        if over:
            self._report(org, trigger, delivery, why)
        result = Result.FAILED if over else Result.QUEUED
        return self._end(org, trigger.name, delivery, result, why)

    def _report(self, org: str, trigger: t.Trigger, delivery: t.Delivery, why: str) -> None:
        """Set a failed status on the commit, so that its author sees the error."""
        if not delivery.event.sha or trigger.provider == "generic":
            return
        try:
            token = self._git.tokens.of_trigger(org, trigger)
            page = self._web_app() or None
            if token is not None:
                self._git.provider.set_status(trigger, token, delivery.event.sha, why, page)
        except DeliveryError:
            logger.warning("a status was not set", extra={"trigger": trigger.name}, exc_info=True)

    def _launch(self, org: str, trigger: t.Trigger, delivery: t.Delivery) -> t.Delivery:
        if (why := why_suspended(self._records, org, trigger)) is not None:
            return self._end(org, trigger.name, delivery, Result.FAILED, why)
        owner = current_user(self._records, org, trigger.owner)
        if owner is None or Permission.LAUNCH not in owner.permissions:
            why = f"{trigger.owner} may not launch pipelines any more; store the trigger again"
            return self._end(org, trigger.name, delivery, Result.FAILED, why)
        event, api = delivery.event, self._pipelines(owner)
        if delivery.result is Result.QUEUED and api.launched(_key(trigger, delivery)) is None:
            api.check_turn(_turn(trigger, delivery))  # before the provider is asked
        if (foreign := _foreign(trigger, event)) is not None:
            return self._end(org, trigger.name, delivery, Result.SKIPPED, foreign)
        token = self._git.tokens.of_trigger(org, trigger)
        if not event.sha and trigger.provider == "generic":
            raise RefusedError("the webhook names no commit: send its full hash as 'sha'")
        if not event.sha:
            commit = self._git.provider.commit(trigger, token, _ref_of(event))
            event = event.model_copy(update={"sha": commit})
            delivery = delivery.model_copy(update={"event": event})
        elif len(event.sha) < _FULL_SHA and trigger.provider != "generic":
            repository = repository_of(event.url)
            commit = self._git.provider.commit(trigger, token, event.sha, repository)
            event = event.model_copy(update={"sha": commit})
            delivery = delivery.model_copy(update={"event": event})
        section, why = self._section(trigger, token, event)
        if section is None:
            return self._end(org, trigger.name, delivery, Result.SKIPPED, why)
        return self._launch_section(owner, trigger, delivery, section)

    def _section(
        self, trigger: t.Trigger, token: str | None, event: t.GitEvent
    ) -> tuple[Section | None, str]:
        """Return the section that an event launches, or None and why."""

        @cache
        def changed() -> tuple[str, ...] | None:
            files = self._git.provider.changed_files(trigger, token, event)
            if files is None:
                return None
            return tuple(path for each in files for path in {each.path, each.old_path})

        sections, why = self._sections(trigger, token, event)
        for section in sections:
            mismatch = section.why_not(event, changed)
            if mismatch is None:
                return section, ""
            why = mismatch
        return None, why

    def _sections(
        self, trigger: t.Trigger, token: str | None, event: t.GitEvent
    ) -> tuple[list[Section], str]:
        """Return the sections for an event, and why nothing is launched without one."""
        if trigger.command is not None:
            return [section_of(trigger.command)], ""
        data = self._git.provider.read_file(
            trigger, token, event.repository, event.sha, t.CONFIG_FILE
        )
        if data is None:
            return [], f"there is no {t.CONFIG_FILE} at {event.sha[:10]}"
        if len(data) > MAX_BYTES:
            raise TriggerConfigError(1, f"{t.CONFIG_FILE} has more than {MAX_BYTES} bytes")
        found = sections_for(parse_config(data.decode(errors="replace")), event)
        name = f"{event.kind} {event.text.partition(' ')[2]}".strip()
        return found, f"{t.CONFIG_FILE} has no section [{name}]"

    def _launch_section(
        self,
        owner: Identity,
        trigger: t.Trigger,
        delivery: t.Delivery,
        section: Section,
    ) -> t.Delivery:
        event, org = delivery.event, owner.org
        api = self._pipelines(owner)
        key = _key(trigger, delivery)
        others = rivals(all_records(self._records.store, org), section, event)
        if api.launched(key) is not None:
            others = []  # the rule was applied; one of them may be this delivery's own pipeline
        if others and section.duplicate is Duplicate.SUPPRESS_NEW:
            why = f"{others[0].id} is active for the same commit"
            return self._end(org, trigger.name, delivery, Result.SKIPPED, why)
        if others and section.duplicate is Duplicate.DEFER:
            why = f"waits for {others[0].id} to end"
            return self._end(org, trigger.name, delivery, Result.DEFERRED, why)
        if section.duplicate is Duplicate.CANCEL_OLD and self._is_old(org, trigger, delivery):
            return self._end(org, trigger.name, delivery, Result.SKIPPED, _SUPERSEDED)
        if section.duplicate in _ENDINGS:
            for other in others:
                ending = _ENDINGS[section.duplicate]
                asyncio.run(api.control(PipelineParams(id=other.id), ending))
        request = launch_of(section, event, clone_of(trigger, event))
        tree = with_set(with_default(request.tree, trigger.budget), trigger.secret_set)
        request = request.model_copy(update={"tree": tree})
        path = script_of(section.command) if _is_proof(trigger, owner) else None
        origin = origin_of(trigger.name, trigger.provider, section.name, event, path=path)
        turn = _turn(trigger, delivery)
        launched = asyncio.run(
            api.launch_stored(request, key, repeated=True, origin=origin, turn=turn)
        )
        done = delivery.model_copy(
            update={"section": section.name, "pipeline": launched.pipeline.id}
        )
        if section.duplicate is Duplicate.CANCEL_OLD and self._is_old(org, trigger, delivery):
            # A newer one arrived meanwhile, and did not see this pipeline.
            params = PipelineParams(id=launched.pipeline.id)
            asyncio.run(api.control(params, people.KILL_ALL))
        return self._end(org, trigger.name, done, Result.LAUNCHED, None)

    def _is_old(self, org: str, trigger: t.Trigger, delivery: t.Delivery) -> bool:
        """End older deliveries that wait; return whether a newer one launches or has launched."""
        newer = False
        for other in self._deliveries.latest(org, trigger.name, _MAX_COMPARED):
            if other.id == delivery.id or not is_same_subject(other.event, delivery.event):
                continue
            waits = other.result in t.OPEN_RESULTS
            if other.id > delivery.id:
                newer = newer or waits or other.result is Result.LAUNCHED
            elif waits:
                self._end(org, trigger.name, other, Result.SKIPPED, _SUPERSEDED)
        return newer

    def _end(
        self, org: str, name: str, delivery: t.Delivery, result: Result, reason: str | None
    ) -> t.Delivery:
        ended = delivery.model_copy(update={"result": result, "reason": reason})
        if ended != delivery:
            self._deliveries.put(org, name, ended)
        return ended


def in_turn(places: Iterable[_Place]) -> list[_Place]:
    """Return one delivery of each organisation, then a second one, and so on; the newest first."""
    numbers: Counter[str] = Counter()
    found = []
    for place in sorted(places, key=lambda place: place[2], reverse=True):
        numbers[place[0]] += 1
        found.append((numbers[place[0]], place))
    return [place for _, place in sorted(found, key=lambda each: each[0])]


def _is_run(event: t.GitEvent) -> bool:
    """Return whether an event is a comment that launches a pipeline."""
    is_comment = event.kind is t.GitEventKind.COMMENT
    return is_comment and event.text.partition(" ")[0] == people.RUN


def _key(trigger: t.Trigger, delivery: t.Delivery) -> str:
    """Return the idempotency key of a delivery's launch."""
    return f"trigger:{trigger.name}:{delivery.id}"


def _turn(trigger: t.Trigger, delivery: t.Delivery) -> str:
    return turn_of(delivery.turn or delivery.time, _key(trigger, delivery))


def _is_proof(trigger: t.Trigger, owner: Identity) -> bool:
    """Return whether nobody but an administrator can make up the webhooks and the command.

    The secret of a webhook is shown to the user who stores a trigger. Triggers without a token can
    be taken over with their secret.
    """
    sealed = (trigger.app or trigger.has_token) and trigger.command is None
    return sealed and Permission.MANAGE_ORGANISATION in owner.permissions


def _foreign(trigger: t.Trigger, event: t.GitEvent) -> str | None:
    """Return why an event is not one of the trigger's repository, or None."""
    if of_repository(event, trigger.repository):
        return None
    return f"the webhook is about {event.repository}, not about {trigger.repository}"


def _ref_of(event: t.GitEvent) -> str:
    """Return the ref whose configuration applies to an event without a commit."""
    created = event.kind in {t.GitEventKind.CREATE_BRANCH, t.GitEventKind.CREATE_TAG}
    return event.branch if created else "HEAD"
