"""Roles are for programs that a trigger proves, not for titles or the claims of a launch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.triggers.test_triggers import SHA, Site

from chalicelib.people.port import Identity
from conducto_core.people.model import Member, Role
from conducto_core.people.rules import permissions_of
from conducto_core.people.task_roles import program_of
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action, Changes, ControlRequest, LaunchRequest
from conducto_core.triggers import model as t
from support.git_provider import git_host
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMIN = Identity("acme", "bea", permissions_of(Role.ADMIN))
PROGRAM = "github.com/acme/app:p.py"


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        made = Site(host)
        made.world.people.join("acme", Member(user="bea", role=Role.ADMIN, joined=1.0), first=False)
        made.add(ADMIN)
        yield made


def pushed(site: Site) -> PipelineRecord:
    record = site.world.store.record("acme", str(site.pushed().pipeline))
    assert record is not None
    return record


def run(site: Site, record: PipelineRecord) -> str:
    """Run a tree as a pipeline that the trigger launched, with a worker."""
    request = LaunchRequest(tree=form(serial(leaf("a"), leaf("b"))), run=True)
    api = site.world.pipelines(ADMIN)
    launched = asyncio.run(api.launch(request, origin=record.git))
    site.world.serve()
    return launched.pipeline.id


def programs(site: Site) -> list[str | None]:
    return [task.program for task in site.world.fleet.tasks.values()]


def test_push_proves_the_repository_and_the_script(site: Site) -> None:
    record = pushed(site)

    assert program_of(record.git) == PROGRAM
    run(site, record)
    assert programs(site) == [PROGRAM]


def test_trigger_of_a_member_proves_nothing(site: Site) -> None:
    site.add()  # the member knows its secret, and can sign webhooks

    assert program_of(pushed(site).git) is None


def test_trigger_without_token_proves_nothing_because_it_can_be_taken_over(site: Site) -> None:
    trigger = site.world.cloud.records.triggers.get("acme", "app")
    assert trigger is not None
    site.world.cloud.records.triggers.put("acme", trigger.model_copy(update={"has_token": False}))

    assert program_of(pushed(site).git) is None


def test_titles_and_claimed_programs_of_a_launch_prove_nothing(site: Site) -> None:
    tree = form(serial(leaf("a")))
    request = LaunchRequest(tree=tree, run=True, title=PROGRAM, program=PROGRAM)
    asyncio.run(site.world.pipelines(ADMIN).launch(request))
    site.world.serve()

    assert programs(site) == [None]


def test_fork_and_copy_prove_nothing(site: Site) -> None:
    record = pushed(site)
    assert record.git is not None
    copy = LaunchRequest(tree=form(serial(leaf("a"))), copy_of=record.id)
    copied = asyncio.run(site.world.pipelines(ADMIN).launch(copy)).pipeline

    assert program_of(record.git.model_copy(update={"untrusted": True})) is None
    assert program_of(copied.git) is None


@pytest.mark.parametrize("who", ["bea", "cem"])
def test_changed_pipeline_runs_its_next_commands_without_the_role(site: Site, who: str) -> None:
    pipeline = run(site, pushed(site))
    me = Identity("acme", who, permissions_of(Role.ADMIN))
    change = ControlRequest(
        action=Action.MODIFY, paths=("/b",), changes=Changes(command="aws s3 ls")
    )
    asyncio.run(site.world.pipelines(me).control(PipelineParams(id=pipeline), change))

    site.world.running()["/a"].finish()
    site.world.serve()

    assert programs(site) == [PROGRAM, None]
    assert site.world.running()["/b"].task.program is None


def test_generic_trigger_with_its_own_command_proves_nothing(site: Site) -> None:
    more: dict[str, Any] = {"provider": "generic", "command": "python p.py"}
    site.add(ADMIN, **more)
    event = t.GitEvent(
        kind=t.GitEventKind.PUSH,
        repository="acme/app",
        url="https://github.com/acme/app.git",
        branch="main",
        sha=SHA,
    )
    trigger = site.world.cloud.records.triggers.get("acme", "app")
    assert trigger is not None
    delivery = t.Delivery(id="00000000000001-a", time=1.0, event=event)
    launched = site.run.launch("acme", trigger, delivery)

    record = site.world.store.record("acme", str(launched.pipeline))
    assert record is not None
    assert record.git is not None
    assert program_of(record.git) is None
