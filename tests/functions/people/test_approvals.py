"""Approvals in the cloud: no worker waits, and only a person decides."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.people.port import Identity
from chalicelib.run.rules import snapshots
from conducto.errors import DefinitionError
from conducto_core.approvals.model import DecideApproval
from conducto_core.errors import RefusedError
from conducto_core.people.model import Member, Role
from conducto_core.people.rules import permissions_of
from conducto_core.results.model import OutputParams
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import Action, Changes, ControlRequest
from conducto_core.run.model.states import Cause, State
from support.cloud.world import ME, World
from support.trees import approve, leaf, serial


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def waiting(world: World) -> str:
    """A pipeline whose approval waits."""
    id_ = world.launch(serial("test", approve("ask", who=["admin"], max_time=600), "release"))
    world.serve()
    world.running()["/test"].finish(None)
    world.serve()
    return id_


def person(role: Role) -> Identity:
    return replace(ME, user=role.value, permissions=permissions_of(role))


def decide(
    world: World, id_: str, me: Identity, *, approve: bool = True, attempt: int | None = None
) -> AttemptRecord:
    request = DecideApproval(path="/ask", approve=approve, comment="as agreed", attempt=attempt)
    server = world.services.pipelines(me)
    return asyncio.run(server.decide_approval(PipelineParams(id=id_), request))


def node(world: World, id_: str, path: str = "/ask") -> Any:
    with world.engine.reading(ME.org, id_) as live:
        return live.tree.nodes[path]


def test_the_pipeline_waits_without_a_worker_and_continues_after_the_approval(
    world: World, waiting: str
) -> None:
    for _ in range(5):
        world.minute(70)
        world.serve()
    assert node(world, waiting).state is State.QUEUED
    with world.engine.reading(ME.org, waiting) as live:
        assert live.record.problem is None
        assert live.wanted() == {}

    attempt = decide(world, waiting, person(Role.ADMIN))

    assert attempt.decision is not None
    assert (attempt.decision.by, attempt.decision.comment) == ("admin", "as agreed")
    world.serve()
    for _ in range(3):
        world.minute(70)
        world.serve()
    world.running()["/release"].finish(None)
    assert node(world, waiting, "/").state is State.DONE


def test_a_member_without_the_role_may_not_decide(world: World, waiting: str) -> None:
    with pytest.raises(RefusedError, match="/ask: member may not decide it; ask admin"):
        decide(world, waiting, person(Role.MEMBER))


def test_a_program_may_not_decide_with_the_rights_of_a_person(world: World, waiting: str) -> None:
    program = replace(person(Role.OWNER), kind="token")

    with pytest.raises(RefusedError, match="/ask: a person decides, not a program's token"):
        decide(world, waiting, program)


def test_login_of_a_stranger_does_not_decide_in_an_organisation_with_members(
    world: World, waiting: str
) -> None:
    world.people.join(ME.org, Member(user="ada", role=Role.OWNER, joined=0.0))

    with pytest.raises(RefusedError, match="a person decides, not a program's token"):
        decide(world, waiting, replace(person(Role.OWNER), user="ci@ci"))


def act(world: World, id_: str, me: Identity, action: Action, *paths: str, **more: Any) -> None:
    changes = more.pop("changes", None)
    request = ControlRequest(
        action=action,
        paths=paths,
        changes=None if changes is None else Changes.model_validate(changes),
        **more,
    )
    asyncio.run(world.services.pipelines(me).control(PipelineParams(id=id_), request))


@pytest.mark.parametrize(
    ("me", "who"),
    [
        (person(Role.MEMBER), "member"),
        (replace(person(Role.OWNER), kind="token"), "a program's token"),
    ],
    ids=["member", "program"],
)
def test_approval_is_not_bypassed_without_the_right_to_decide(
    world: World, waiting: str, me: Identity, who: str
) -> None:
    said = f"/ask: is an approval that {who} may not decide, .*; ask admin"
    for action, paths, changes in (
        (Action.SKIP, ("/ask",), None),
        (Action.SKIP, ("/release", "/ask"), None),
        (Action.SKIP, ("/",), None),
        (Action.KILL, ("/",), None),
        (Action.MODIFY, ("/ask",), {"suppress_errors": True}),
        (Action.MODIFY, ("/",), {"stop_on_error": False}),
    ):
        with pytest.raises(RefusedError, match=said):
            act(world, waiting, me, action, *paths, changes=changes)
    assert node(world, waiting).state is State.QUEUED

    decide(world, waiting, person(Role.ADMIN), approve=False)
    with pytest.raises(RefusedError, match=said):
        act(world, waiting, me, Action.SKIP, failed=True)

    act(world, waiting, person(Role.ADMIN), Action.SKIP, failed=True)
    world.serve()
    world.running()["/release"].finish(None)
    assert node(world, waiting, "/").state is State.DONE


def test_cancel_withdraws_the_question_and_decides_nothing(world: World, waiting: str) -> None:
    act(world, waiting, replace(person(Role.OWNER), kind="token"), Action.CANCEL)
    world.serve()
    assert node(world, waiting).state is State.PENDING

    world.control(waiting, "run")
    world.serve()

    assert (node(world, waiting).state, node(world, waiting).attempt) == (State.QUEUED, 2)
    assert node(world, waiting, "/release").state is State.PENDING


def test_change_behind_a_waiting_approval_is_shown_and_asks_again(
    world: World, waiting: str
) -> None:
    member, admin = person(Role.MEMBER), person(Role.ADMIN)
    act(world, waiting, member, Action.MODIFY, "/release", changes={"command": "echo evil"})
    world.serve()

    found = asyncio.run(world.services.pipelines(admin).list_approvals()).approvals
    said = ("withdrawn after a change: member modified /release",)
    assert [(one.approval.attempt, one.approval.withdrawn) for one in found] == [(2, said)]
    with world.engine.reading(ME.org, waiting) as live:
        again = snapshots.restore(
            ME.org,
            world.store.definition(waiting),
            snapshots.snapshot_of(live),
            live.tree_of,
        )
        assert again.withdrawn == live.withdrawn
        assert again.status().approvals == live.status().approvals
    with pytest.raises(RefusedError, match="attempt 1 waits no longer"):
        decide(world, waiting, admin, attempt=1)
    with pytest.raises(RefusedError, match="member modified /release; look at it"):
        decide(world, waiting, admin)

    attempt = decide(world, waiting, admin, attempt=2)
    world.serve()

    assert attempt.decision is not None
    first, second = world.store.attempts(waiting, "/ask")
    assert ((first.message,), second.message) == (said, None)
    world.running()["/release"].finish(None)
    assert node(world, waiting, "/").state is State.DONE


def asked(world: World, me: Identity) -> list[tuple[str, str]]:
    found = asyncio.run(world.services.pipelines(me).list_approvals()).approvals
    return [(one.pipeline, one.approval.path) for one in found]


def test_list_has_the_approvals_that_the_caller_may_decide(world: World, waiting: str) -> None:
    world.now += 1
    other = world.launch(serial(approve("ask", who=["ada"])))
    world.launch(serial("command"))
    world.serve()

    assert asked(world, person(Role.ADMIN)) == [(waiting, "/ask")]
    assert asked(world, replace(person(Role.OWNER), user="ada")) == [
        (waiting, "/ask"),
        (other, "/ask"),
    ]
    assert asked(world, person(Role.MEMBER)) == asked(world, person(Role.VIEWER)) == []
    assert asked(world, replace(person(Role.OWNER), kind="token")) == []
    assert asked(world, replace(person(Role.OWNER), org="other")) == []

    decide(world, waiting, person(Role.ADMIN))
    assert asked(world, person(Role.ADMIN)) == []


def test_a_rejection_stops_the_pipeline(world: World, waiting: str) -> None:
    attempt = decide(world, waiting, person(Role.OWNER), approve=False)
    world.serve()

    assert attempt.cause is Cause.REJECTED
    assert attempt.message == "rejected by owner: as agreed"
    assert node(world, waiting, "/").state is State.ERROR
    with pytest.raises(RefusedError, match="it is rejected"):
        decide(world, waiting, person(Role.OWNER))


def test_the_timeout_is_exact_to_the_minute_rule(world: World, waiting: str) -> None:
    world.minute(590)
    assert node(world, waiting).state is State.QUEUED

    world.minute(70)

    assert node(world, waiting).cause is Cause.APPROVAL_TIMEOUT


def test_nothing_can_be_decided_after_the_pipeline_was_archived(world: World, waiting: str) -> None:
    world.control(waiting, "archive")

    with pytest.raises(RefusedError, match="is archived, so nothing waits for a decision"):
        decide(world, waiting, person(Role.OWNER))


def test_values_of_a_form_reach_the_command_and_the_result(world: World) -> None:
    fields = {"version": str, "canary": 10}
    id_ = world.launch(serial(approve("ask", fields=fields), leaf("release", results=["/ask"])))
    world.serve()
    server = world.services.pipelines(person(Role.ADMIN))
    params = PipelineParams(id=id_)
    with pytest.raises(DefinitionError, match="/ask: version has no value"):
        asyncio.run(server.decide_approval(params, DecideApproval(path="/ask", approve=True)))

    request = DecideApproval(path="/ask", approve=True, values={"version": "2.1"})
    attempt = asyncio.run(server.decide_approval(params, request))

    assert attempt.decision is not None
    assert attempt.decision.values == {"version": "2.1", "canary": 10}
    world.serve()
    for _ in range(3):
        world.minute(70)
        world.serve()
    (job,) = [hand.job for hand in world.living() if hand.job is not None]
    assert json.loads(job.inputs) == {"/ask": {"version": "2.1", "canary": 10}}
    shown = asyncio.run(server.get_result(OutputParams(id=id_, path="/ask")))
    assert shown.value == {"version": "2.1", "canary": 10}
    with world.engine.reading(ME.org, id_) as live:
        kept = snapshots.snapshot_of(live)
        again = snapshots.restore(ME.org, world.store.definition(id_), kept, live.tree_of)
        assert again.tree.nodes["/ask"].known == {"version": "2.1", "canary": 10}
