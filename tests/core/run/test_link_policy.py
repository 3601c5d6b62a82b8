"""What a linked machine lets its cloud do."""

import pytest
from tests.support.wire_schemas import operations

from conducto_core.api.operation import AnyOperation, LinkClass
from conducto_core.debug.operations import DEBUG, OPEN_SHELL
from conducto_core.programs.operations import START_PROGRAM
from conducto_core.remote.model import Caller, LinkPolicy
from conducto_core.remote.rules import ALLOWABLE, LinkRequest, refusal_of
from conducto_core.run.model.requests import Action, Changes, ControlRequest
from conducto_core.run.operations import CONTROL, DELETE, LAUNCH, TREE
from conducto_core.schedules.model import ScheduleSettings, ScriptSource, TemplateSource
from conducto_core.schedules.operations import CHANGE_SCHEDULE, CREATE_SCHEDULE
from conducto_core.secrets.operations import SECRETS

OWNER, OTHER = Caller(user="ada"), Caller(user="bob")
DEFAULT = LinkPolicy()
ALL = LinkPolicy(allow=ALLOWABLE, who="org")


def _request(
    operation: AnyOperation,
    caller: Caller = OWNER,
    action: Action | None = None,
    *,
    defined_remotely: bool = False,
) -> LinkRequest:
    control = None if action is None else ControlRequest(action=action, paths=("/",))
    return LinkRequest(operation, caller, control, defined_remotely=defined_remotely)


def _is_allowed(policy: LinkPolicy, request: LinkRequest) -> bool:
    return refusal_of(policy, OWNER.user, request) is None


def test_default_policy_allows_the_owner_to_read_only() -> None:
    for operation in operations().values():
        expected = operation.link_class is LinkClass.READ

        assert _is_allowed(DEFAULT, _request(operation)) is expected, operation.name
        assert not _is_allowed(DEFAULT, _request(operation, OTHER)), operation.name


def test_no_policy_allows_the_classes_secrets_and_never() -> None:
    every = LinkPolicy(allow=tuple(LinkClass), who="org")
    closed = (LinkClass.SECRETS, LinkClass.NEVER)

    allowed = [one for one in operations().values() if _is_allowed(every, _request(one))]
    assert allowed
    assert not [one.name for one in allowed if one.link_class in closed]


@pytest.mark.parametrize("action", Action)
def test_control_excludes_actions_that_define_or_remove_work(action: Action) -> None:
    authored = action in (Action.MODIFY, Action.REBUILD, Action.ARCHIVE)

    assert _is_allowed(DEFAULT, _request(CONTROL, OWNER, action)) is not authored
    assert _is_allowed(ALL, _request(CONTROL, OWNER, action))
    others = authored or action is Action.WAKE
    assert _is_allowed(ALL, _request(CONTROL, OTHER, action)) is not others


def test_action_with_changes_is_not_control() -> None:
    changed = ControlRequest(action=Action.RESET, paths=("/",), changes=Changes(command="id"))

    assert not _is_allowed(DEFAULT, LinkRequest(CONTROL, OWNER, changed))
    assert not _is_allowed(DEFAULT, LinkRequest(CONTROL, OWNER, None))


def test_work_that_came_through_the_link_needs_the_class_author() -> None:
    rerun = _request(CONTROL, OWNER, Action.RUN, defined_remotely=True)

    assert not _is_allowed(DEFAULT, rerun)
    assert _is_allowed(ALL, rerun)


@pytest.mark.parametrize("operation", [CREATE_SCHEDULE, CHANGE_SCHEDULE])
def test_schedule_of_a_script_is_refused_by_every_policy(operation: AnyOperation) -> None:
    script = ScheduleSettings(cron="0 2 * * *", what=ScriptSource(kind="script"))
    tree = ScheduleSettings(cron="0 2 * * *", what=TemplateSource(kind="template", pipeline="p1"))

    refusal = refusal_of(ALL, OWNER.user, LinkRequest(operation, OWNER, schedule=script))

    assert refusal is not None
    assert "on the machine itself" in refusal.remedy
    assert _is_allowed(ALL, LinkRequest(operation, OWNER, schedule=tree))


def test_program_of_a_pipeline_that_came_through_the_link_is_not_started() -> None:
    assert _is_allowed(ALL, _request(START_PROGRAM))
    assert not _is_allowed(ALL, _request(START_PROGRAM, defined_remotely=True))


def test_other_members_read_and_control_only() -> None:
    assert _is_allowed(ALL, _request(TREE, OTHER))
    assert _is_allowed(ALL, _request(CONTROL, OTHER, Action.RUN))
    for operation in (LAUNCH, DELETE, OPEN_SHELL):
        assert _is_allowed(ALL, _request(operation))
        assert not _is_allowed(ALL, _request(operation, OTHER))


def test_refusal_names_the_command_that_allows_the_request() -> None:
    author = refusal_of(DEFAULT, "ada", _request(DELETE))
    other = refusal_of(DEFAULT, "ada", _request(TREE, OTHER))
    secret = refusal_of(ALL, "ada", _request(SECRETS))

    assert author is not None
    assert author.remedy.endswith("conducto agent link --allow read,control,author")
    assert other is not None
    assert "conducto agent link --who org" in other.remedy
    assert secret is not None
    assert "conducto secrets" in secret.remedy
    assert refusal_of(ALL, "ada", _request(DEBUG)) is not None


def test_refusal_names_a_person_who_can_do_it() -> None:
    through_link = refusal_of(ALL, "ada", _request(DELETE, OTHER))
    on_machine = refusal_of(DEFAULT, "ada", _request(DELETE, OTHER))

    assert through_link is not None
    assert through_link.remedy == "ask ada to do it"
    assert on_machine is not None
    assert on_machine.remedy.startswith("ask ada to do it on the machine: ")
