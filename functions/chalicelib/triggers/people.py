"""Comments on pull requests, and buttons of checks: what members request at a provider.

The trigger maps numbers of people at the provider to members, whose permissions they have.
"""

import asyncio
from dataclasses import replace

from chalicelib.api.callers import current_user
from chalicelib.people.port import Identity
from chalicelib.people.suspension import why_suspended
from chalicelib.people.tokens import membership_digest
from chalicelib.records import Records
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.store import all_records
from conducto_core.api.operation import Permission
from conducto_core.approvals.model import DecideApproval
from conducto_core.checks.rules import APPROVE, RERUN
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.triggers import model as t
from conducto_core.triggers.rules.launch import is_of_request
from conducto_core.triggers.rules.providers import GIT_APIS

RUN, CANCEL = "run", "cancel"
#: Ends a pipeline with a result, so that its commit gets a status; a pause would leave it open.
KILL_ALL = ControlRequest(action=Action.KILL, paths=("/",))
_COMMANDS = "run [SECTION], rerun, cancel"


def member_of(records: Records, org: str, trigger: t.Trigger, event: t.GitEvent) -> Identity:
    """Return the member who sent an event; raises `RefusedError`.

    A button is clicked by a person with a session at GitHub. A program can write comments, and the
    owner of a webhook knows its secret.
    """
    if (why := why_suspended(records, org, trigger)) is not None:
        raise RefusedError(why)
    known = next((each for each in trigger.people if each.id == event.user_id), None)
    host = GIT_APIS[trigger.provider].name
    if known is None or not event.user_id:
        raise RefusedError(
            f"{event.user} at {host} is not a known member; store the trigger with --person "
            f"{event.user}=USER"
        )
    member = current_user(records, org, known.user)
    if member is None:
        raise RefusedError(f"{known.user}, who is {event.user} at {host}, is not a member any more")
    if event.kind is t.GitEventKind.CHECK and trigger.app:
        return replace(member, kind="session", parent=membership_digest(org, known.user))
    return member


def check_permission(member: Identity, permission: Permission, what: str) -> None:
    """Check that a member may do what they request; raises `RefusedError`."""
    if permission not in member.permissions:
        raise RefusedError(f"{member.user} may not {what}")


def pipeline_of(
    records: Records, org: str, trigger: t.Trigger, event: t.GitEvent
) -> PipelineRecord:
    """Return the pipeline that an event is about; raises `RefusedError`."""
    if event.kind is t.GitEventKind.CHECK:
        record = records.store.record(org, event.pipeline)
        found = [] if record is None else [record]
    else:
        found = [each for each in all_records(records.store, org) if is_of_request(each, event)]
    mine = [each for each in found if each.git is not None and each.git.trigger == trigger.name]
    if not mine:
        raise RefusedError(f"there is no pipeline of {trigger.name} for it any more")
    return max(mine, key=lambda each: (each.created, each.id))


def act(api: CloudPipelines, member: Identity, record: PipelineRecord, event: t.GitEvent) -> str:
    """Execute a command of a comment or a button; return a sentence about it.

    Raises:
        RefusedError: The member may not, it is not possible now, or there is no such command.
    """
    word = event.text.partition(" ")[0]
    if word not in {RERUN, CANCEL, APPROVE}:
        raise RefusedError(f"there is no command {word!r}; known: {_COMMANDS}")
    if word == APPROVE and event.kind is t.GitEventKind.COMMENT:
        raise RefusedError("a comment cannot approve; use the button of the check")
    check_permission(member, Permission.CHANGE_STATE, f"{word} pipelines")
    params = PipelineParams(id=record.id)
    if word == APPROVE:
        return _approve(api, member, record)
    if word == CANCEL:
        asyncio.run(api.control(params, KILL_ALL))
        return f"{member.user} cancelled {record.id}"
    again = ControlRequest(action=Action.RESET, failed=True)
    count = asyncio.run(api.control(params, again)).affected
    asyncio.run(api.control(params, ControlRequest(action=Action.RUN)))
    return f"{member.user} started {count:,} failed commands of {record.id} again"


def _approve(api: CloudPipelines, member: Identity, record: PipelineRecord) -> str:
    waiting = record.status.approvals
    if len(waiting) != 1:
        raise RefusedError(
            f"{len(waiting)} approvals of {record.id} wait; decide on the page of the pipeline"
        )
    path = waiting[0].path
    request = DecideApproval(path=path, approve=True, comment="at GitHub")
    asyncio.run(api.decide_approval(PipelineParams(id=record.id), request))
    return f"{member.user} approved {path} of {record.id}"
