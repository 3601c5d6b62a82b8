"""Sets of secrets: chosen at the launch, in the cloud and on a machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.secrets.injection import inject
from conducto.errors import DefinitionError
from conducto_core.debug.model import DebugRequest
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretKey, SecretValue
from support.cloud.world import World
from support.trees import form, leaf, serial

TREE = serial(leaf("a", command="echo $DB"))


@pytest.fixture
def world() -> World:
    made = World()
    values = [
        SecretValue(key="DB", value="plain-of-ann"),
        SecretValue(key="DB", value="prod-of-all", scope="org", secret_set="prod"),
        SecretValue(key="DB", value="staging-of-ann", secret_set="staging"),
        SecretValue(key="KEY", value="the-shared-key"),
    ]
    asyncio.run(made.pipelines().put_secrets(PutSecrets(secrets=tuple(values))))
    return made


def launched(world: World, chosen: str | None = None, **more: Any) -> str:
    tree = form(TREE) if chosen is None else {**form(TREE), "secret_set": chosen}
    request = LaunchRequest(tree=tree, run=True, **more)
    return asyncio.run(world.pipelines().launch(request)).pipeline.id


@pytest.mark.parametrize(
    ("chosen", "value"),
    [(None, "plain-of-ann"), ("prod", "prod-of-all"), ("staging", "staging-of-ann")],
)
def test_command_gets_the_secrets_of_the_set_before_those_without_one(
    world: World, chosen: str | None, value: str
) -> None:
    pipeline = launched(world, chosen)
    world.serve()
    job = world.running()["/a"].job

    assert job is not None
    assert (job.env["DB"], job.env["KEY"]) == (value, "the-shared-key")
    assert {*job.masked} == {value, "the-shared-key"}  # no value of another set
    assert world.get(pipeline).pipeline.secret_set == (chosen or "")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("prdo", r"no secrets in the set 'prdo'; did you mean 'prod'\? \(sets: prod, staging\)"),
        ("other", r"store one: conducto secrets set NAME --secret-set other"),
        ("PROD", r"--secret-set: the name of a set of secrets has lower-case letters"),
    ],
)
def test_a_set_that_does_not_exist_is_refused(world: World, chosen: str, said: str) -> None:
    with pytest.raises((RefusedError, DefinitionError), match=said):
        launched(world, chosen)


def test_secrets_of_sets_are_listed_and_deleted_by_set(world: World) -> None:
    listed = asyncio.run(world.pipelines().list_secrets()).secrets
    assert [(one.secret_set, one.key, one.scope) for one in listed] == [
        ("prod", "DB", "org"),
        ("", "DB", "user"),
        ("", "KEY", "user"),
        ("staging", "DB", "user"),
    ]

    keys = (SecretKey(key="DB", secret_set="staging"), SecretKey(key="DB", secret_set="gone"))
    deleted = asyncio.run(world.pipelines().delete_secrets(DeleteSecrets(keys=keys)))

    assert deleted.changed == keys[:1]
    assert ("", "DB") in [(one.secret_set, one.key) for one in deleted.secrets]


@pytest.mark.parametrize("name", ["a/b", "Prod", "-a", "x" * 32 + "y"])
def test_an_invalid_name_of_a_set_is_refused(world: World, name: str) -> None:
    def put() -> None:
        secret = SecretValue(key="DB", value="some-value", secret_set=name)
        asyncio.run(world.pipelines().put_secrets(PutSecrets(secrets=(secret,))))

    with pytest.raises((RefusedError, ValueError)):
        put()


def test_a_pipeline_keeps_its_set_when_it_is_launched_again_and_continued(world: World) -> None:
    pipeline = launched(world, "prod", program="/a.py")
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=1)
    world.serve()
    stored = asyncio.run(world.pipelines().get_definition(PipelineParams(id=pipeline)))
    again = asyncio.run(world.pipelines().launch(stored)).pipeline

    assert again.secret_set == "prod"
    request = DebugRequest(path="/a")
    plan = asyncio.run(world.pipelines().debug(PipelineParams(id=pipeline), request))
    assert plan.secrets["DB"].get_secret_value() == "prod-of-all"
    world.continue_with(pipeline, TREE, program="/a.py")
    assert world.get(pipeline).pipeline.secret_set == "prod"


def test_secrets_of_two_sets_that_were_stored_at_once_are_not_the_same_for_the_cache(
    world: World,
) -> None:
    vault = world.vault
    both = [SecretValue(key="DB", value=each, secret_set=each) for each in ("prod", "staging")]
    asyncio.run(world.pipelines().put_secrets(PutSecrets(secrets=tuple(both))))
    prod, staging = (inject(vault, "acme", "ann", secret_set=name) for name in ("prod", "staging"))

    assert prod.origins["DB"] != staging.origins["DB"]
    assert prod.origins["KEY"] == staging.origins["KEY"]
