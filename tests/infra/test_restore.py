"""Backup and restore of the table as `docs/cloud.md` describes it, as far as moto goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from infra.aws.copy_table import StillThereError, copy
from infra.aws.restore_objects import restore_objects
from moto import mock_aws

from chalicelib.aws.clients import Clients
from chalicelib.logs.port import LogKey
from conducto_core.errors import NotFoundError
from conducto_core.installation.names import PARTITION_KEY, SORT_KEY, table_name
from support.cloud.aws import BUCKET, aws
from support.cloud.aws import TABLE as INSTALLED
from support.cloud.stored_records import Scenes, dumped, play, world_over
from support.cloud.world import World

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TABLE = table_name("main")
RESTORED = f"{TABLE}-restored"
BACKUP = f"{INSTALLED}-restored"


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
                {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in (PARTITION_KEY, SORT_KEY)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        client.update_continuous_backups(
            TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        yield client


def item(number: int, text: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": "P#1"}, SORT_KEY: {"S": f"{number:05}"}, "text": {"S": text}}


def everything(client: Any) -> dict[str, str]:
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return {i[SORT_KEY]["S"]: i["text"]["S"] for page in pages for i in page["Items"]}


def test_a_table_is_as_it_was_after_restore_and_copy(dynamodb: Any) -> None:
    for number in range(60):
        dynamodb.put_item(TableName=TABLE, Item=item(number, "as it was"))
    before = everything(dynamodb)
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    for number in range(30):  # the accident
        dynamodb.delete_item(
            TableName=TABLE, Key={k: v for k, v in item(number, "").items() if k != "text"}
        )
    dynamodb.put_item(TableName=TABLE, Item=item(59, "spoilt"))

    assert copy(dynamodb, RESTORED, TABLE) == 60

    assert everything(dynamodb) == before


def test_a_restored_table_does_not_replace_the_names_of_current_secrets(dynamodb: Any) -> None:
    def name(scope: str, secret: str) -> dict[str, Any]:
        key = {PARTITION_KEY: {"S": f"S#{scope}"}, SORT_KEY: {"S": "C"}}
        return {**key, "text": {"S": secret}}

    for scope in ("org/acme", "org/lost"):
        dynamodb.put_item(TableName=TABLE, Item=name(scope, "old"))
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    dynamodb.put_item(TableName=TABLE, Item=name("org/acme", "new"))
    lost = name("org/lost", "")
    del lost["text"]
    dynamodb.delete_item(TableName=TABLE, Key=lost)

    copy(dynamodb, RESTORED, TABLE)

    items = dynamodb.scan(TableName=TABLE)["Items"]
    assert sorted(i["text"]["S"] for i in items) == ["new", "old"]


# ---- an installation --------------------------------------------------------------------------


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        made.get("dynamodb").update_continuous_backups(
            TableName=INSTALLED,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
        made.get("s3").put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        yield made


def back_up(clients: Clients) -> None:
    """Restore the table as it is now, under another name."""
    clients.get("dynamodb").restore_table_to_point_in_time(
        SourceTableName=INSTALLED, TargetTableName=BACKUP, UseLatestRestorableTime=True
    )


def world_of(clients: Clients, scenes: Scenes) -> World:
    world = world_over(clients)
    world.now = scenes.now
    return world


def test_deleted_pipeline_is_restored_completely_and_continues(clients: Clients) -> None:
    scenes = play(clients)
    before = dumped(clients, scenes)
    states = world_of(clients, scenes).states(scenes.running)
    back_up(clients)
    world = world_of(clients, scenes)
    world.control(scenes.failed, "skip", "/check")  # others continue meanwhile
    for store in (world.cloud.storage.logs, world.cloud.records.store):
        store.forget(scenes.running)
    with pytest.raises(NotFoundError):
        world_of(clients, scenes).states(scenes.running)

    copied = copy(clients.get("dynamodb"), BACKUP, INSTALLED, scenes.running)
    for prefix in ("trees", "state", "logs"):
        restore_objects(clients.get("s3"), BUCKET, f"{prefix}/{scenes.running}/")

    after = dumped(clients, scenes)
    mine = [i for i in before["items"] if f"#{scenes.running}" in i["pk"]["S"]]
    assert copied > 10
    assert [i for i in mine if i not in after["items"] and i["pk"]["S"][0] == "P"] == []
    assert {k: v for k, v in before["objects"].items() if scenes.running in k}.items() <= after[
        "objects"
    ].items()
    world = world_of(clients, scenes)
    assert world.states(scenes.running) == states
    log = LogKey(scenes.running, "/long", 1, "stdout")
    assert world.cloud.storage.logs.read(log, 0, 100) == b"half of it\n"
    assert world.states(scenes.failed)["/check"] == "error"
    world.control(scenes.running, "pause")
    assert not world.get(scenes.running).pipeline.armed


def test_existing_pipeline_is_not_overwritten(clients: Clients) -> None:
    scenes = play(clients)
    back_up(clients)
    world_of(clients, scenes).control(scenes.running, "pause")
    now = dumped(clients, scenes)

    with pytest.raises(StillThereError, match=r"nothing was copied"):
        copy(clients.get("dynamodb"), BACKUP, INSTALLED, scenes.running)

    assert dumped(clients, scenes) == now


def test_everything_is_as_it_was_in_the_empty_table_of_another_stage(clients: Clients) -> None:
    scenes = play(clients)
    before = dumped(clients, scenes)
    back_up(clients)
    world_of(clients, scenes).control(scenes.running, "pause")  # the change to undo
    for item in dumped(clients, scenes)["items"]:
        key = {name: item[name] for name in (PARTITION_KEY, SORT_KEY)}
        clients.get("dynamodb").delete_item(TableName=INSTALLED, Key=key)

    assert copy(clients.get("dynamodb"), BACKUP, INSTALLED) == len(before["items"])

    assert dumped(clients, scenes)["items"] == before["items"]
    assert world_of(clients, scenes).states(scenes.running)["/long"] == "running"


def test_overwritten_objects_are_kept_and_nothing_is_restored_twice(
    clients: Clients,
) -> None:
    s3 = clients.get("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket=BUCKET, Key="logs/p/a", Body=body)
    s3.put_object(Bucket=BUCKET, Key="logs/q/a", Body=b"other")
    s3.delete_object(Bucket=BUCKET, Key="logs/p/a")
    s3.delete_object(Bucket=BUCKET, Key="logs/q/a")

    assert restore_objects(s3, BUCKET, "logs/p/") == 1
    assert restore_objects(s3, BUCKET, "logs/p/") == 0

    assert s3.get_object(Bucket=BUCKET, Key="logs/p/a")["Body"].read() == b"two"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["logs/p/a"]
