"""Secrets by reference in the cloud: read at the claim, allowed by the administrator."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chalicelib.secrets.references import SecretReferences
from conducto_core.debug.model import DebugRequest
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.states import Cause, State
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_core.secrets.port import SecretStoreError
from conducto_core.secrets.rules import Reference
from support.cloud.world import World
from support.trees import leaf, serial

VALUE = "the-value-in-the-store"


class Stores:
    """Stores of the account."""

    def __init__(self) -> None:
        self.values = {"prod/db": json.dumps({"password": VALUE}), "/prod/key": "another-value"}
        self.reads: list[Reference] = []

    def __call__(self, reference: Reference) -> str:
        self.reads.append(reference)
        if reference.name not in self.values:
            raise SecretStoreError("AWS cannot read it: there is no such secret or version")
        return self.values[reference.name]


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def world(stores: Stores) -> World:
    made = World()
    allowed = ("aws-sm:prod/", "ssm:/prod/", "aws-sm:team-{org}/")
    made.use(references=SecretReferences(allowed, stores, lambda: made.now))
    return made


def put(world: World, reference: str, value: str = "", **more: Any) -> None:
    secret = SecretValue(key="DB", value=value, reference=reference, **more)
    asyncio.run(world.pipelines().put_secrets(PutSecrets(secrets=(secret,))))


def started(world: World, **node: Any) -> tuple[str, Any]:
    pipeline = world.launch(serial(leaf("a", command="echo $DB", **node)))
    world.serve()
    return pipeline, world.running().get("/a")


def test_command_gets_the_value_and_nothing_else_has_it(world: World, stores: Stores) -> None:
    put(world, "aws-sm:prod/db#password")
    pipeline, hand = started(world)

    assert (hand.job.env["DB"], VALUE in hand.job.masked) == (VALUE, True)
    assert stores.reads == [Reference("aws-sm", "prod/db", None, "password")]
    listed = asyncio.run(world.pipelines().list_secrets())
    assert [(one.key, one.reference) for one in listed.secrets] == [
        ("DB", "aws-sm:prod/db#password")
    ]
    (attempt,) = world.attempts(pipeline, "/a")
    everything = [repr(attempt), repr(world.fleet.tasks), world.get(pipeline).model_dump_json()]
    everything += [repr(each) for each in world.machines.__dict__.values()]
    assert not any(VALUE in each for each in everything)


def test_only_references_of_the_command_are_read(world: World, stores: Stores) -> None:
    put(world, "aws-sm:prod/db#password")
    started(world, secrets=[])

    assert stores.reads == []


def test_a_value_that_cannot_be_read_fails_the_attempt_with_the_reference(world: World) -> None:
    put(world, "aws-sm:prod/gone")
    pipeline, _ = started(world)
    world.serve()

    (attempt,) = world.attempts(pipeline, "/a")
    assert (attempt.state, attempt.cause) == (State.ERROR, Cause.IMAGE)
    assert attempt.message == (
        "the secret DB is aws-sm:prod/gone: AWS cannot read it: there is no such secret or version"
    )


def test_a_value_without_the_key_names_the_key_and_not_the_value(world: World) -> None:
    put(world, "aws-sm:prod/db#user")
    pipeline, _ = started(world)

    (attempt,) = world.attempts(pipeline, "/a")
    assert "whose value is not a JSON object with the key 'user'" in str(attempt.message)
    assert VALUE not in str(attempt.message)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("aws-sm:other/db", "may not read it (it may read: aws-sm:prod/, ssm:/prod/"),
        ("aws-sm:other/db", "conducto deploy -c secret_stores='aws-sm:other/'"),
        ("ssm:/other/x", "may not read it"),
        ("aws-sm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:x/db-AbCdEf", "may not read"),
        ("aws-sm:arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db", "may not read"),
        ("aws-sm:conducto-main/org/acme/1", "may not read"),
        ("aws-sm:team-other/db", "may not read"),
        ("vault:secret/prod#x", "a program of a machine reads it, which the cloud does not have"),
        ("op://Private/npm/token", "store the value, copy it to Secrets Manager"),
        ("aws-sm", "is not a reference to a secret"),
        ("ssm:/prod/x#key", "has a key, which ssm does not have"),
    ],
)
def test_references_that_are_not_allowed_are_refused(
    world: World, reference: str, said: str
) -> None:
    with pytest.raises(RefusedError) as raised:
        put(world, reference)
    assert said in str(raised.value)
    assert "DB" in str(raised.value)


@pytest.mark.parametrize(
    "reference",
    [
        "aws-sm:prod/db",
        "aws-sm:team-acme/db",
        "ssm:/prod/key?version=3",
        "aws-sm:arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf#password",
    ],
)
def test_references_with_an_allowed_prefix_are_stored(world: World, reference: str) -> None:
    put(world, reference)


def test_a_value_and_a_reference_are_refused(world: World) -> None:
    with pytest.raises(RefusedError, match="DB: give a value or a reference, not both"):
        put(world, "aws-sm:prod/db", "value")


def test_a_prefix_that_is_not_allowed_any_more_stops_commands(world: World, stores: Stores) -> None:
    put(world, "ssm:/prod/key")
    world.use(references=SecretReferences((), stores, lambda: world.now))
    pipeline, _ = started(world)

    (attempt,) = world.attempts(pipeline, "/a")
    assert "DB is ssm:/prod/key: this installation may not read it" in str(attempt.message)
    assert stores.reads == []


def test_values_are_read_again_after_thirty_seconds(world: World, stores: Stores) -> None:
    put(world, "ssm:/prod/key")
    started(world)
    started(world)
    assert len(stores.reads) == 1
    world.now += 31
    started(world)
    assert len(stores.reads) == 2


def test_debug_shells_get_values_and_errors(world: World, stores: Stores) -> None:
    put(world, "ssm:/prod/key")
    pipeline, hand = started(world)
    hand.finish(Cause.EXIT_CODE, exit_code=1)
    world.serve()

    def plan() -> Any:
        request = DebugRequest(path="/a")
        return asyncio.run(world.pipelines().debug(PipelineParams(id=pipeline), request))

    assert plan().secrets["DB"].get_secret_value() == "another-value"
    stores.values.clear()
    world.now += 31
    with pytest.raises(RefusedError, match="the secret DB is ssm:/prod/key: AWS cannot read it"):
        plan()


@pytest.mark.parametrize(
    ("version", "reason"), [("", "its secret DB is ssm:/prod/key"), ("?version=1", "")]
)
def test_a_reference_without_a_version_turns_the_cache_off(
    world: World, version: str, reason: str
) -> None:
    put(world, f"ssm:/prod/key{version}")
    _, hand = started(world, cache=True, secrets=["DB"])
    hand.finish()
    world.serve()
    world.minute()
    pipeline, _ = started(world, cache=True, secrets=["DB"])

    (attempt,) = world.attempts(pipeline, "/a")
    found = attempt.cache or ""
    assert (reason in found) if reason else ("reference" not in found)
